// Package chaos kills labs at every step and at random moments and proves that
// the next bring-up heals them: nothing that was acknowledged is lost, nothing is
// left running twice.
//
// Its tests run the real program: the test binary starts itself as alertlab. What
// is not test code here finds the processes of a lab and cuts them short at a step of a
// walk, for these tests, for the transcripts of the command line, and for hack/chaos,
// which does the same to labs on Kubernetes. The program itself never imports it.
package chaos
