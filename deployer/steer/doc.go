// Package steer is what verbs do to the pods of a lab between walks: brokers are killed
// and started again, the player of visits pauses. Nothing that is wanted changes, so no
// plan has a step of it. It reaches pods by interfaces that internal/kube fulfils, and
// changes no object but by deleting pods, which whoever made them makes anew, and those of
// Strimzi's by which it is told: an annotation at which its operator looks again at pods
// that it has overlooked, and for a lab that is stopped where its cluster runs on, a pause
// of the Kafka and sets without pods.
package steer
