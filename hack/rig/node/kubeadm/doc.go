// Package kubeadm writes the configuration files with which kubeadm makes a
// node: typed values in, one file of several documents out. The documents are
// JSON, which is YAML too, so that no value can be read as anything but the
// text it is. Nothing is run here and no file is touched.
//
// Formats: kubeadm.k8s.io/v1beta4, kubelet.config.k8s.io/v1beta1,
// kubeproxy.config.k8s.io/v1alpha1.
package kubeadm
