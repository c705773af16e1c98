package profiles

// The tokens that every lab has whose alert database asks for a scope.
const (
	// LabToken has the scope; the lab's own clients come with it.
	LabToken = "alertlab"
	// ScopelessToken lacks it; with it a check can prove that it is refused.
	ScopelessToken = "alertlab-without-scope"
)

// otherScope is what the scopeless token has: the scope of Gafaelfawr that any user
// of the Science Platform may have, and that opens no service.
const otherScope = "user:token"

// AllTokens gives the tokens of a lab: its own, where p's alert database asks for a
// scope, and then those that were added.
func (o Overlay) AllTokens(p *Profile) []Token {
	var all []Token
	if scope := p.AlertDatabase.Scope; scope != "" {
		all = append(all, Token{Name: LabToken, Scopes: []string{scope}})
		other := otherScope
		if scope == other {
			other = "none:none"
		}
		all = append(all, Token{Name: ScopelessToken, Scopes: []string{other}})
	}
	return append(all, o.Clone().Tokens...)
}
