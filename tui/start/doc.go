// Package start is the view of the dashboard in which a lab is brought up: profiles to
// choose from, the plan with what it concedes, and the walk while it goes on. What
// plans and walks is handed in.
package start
