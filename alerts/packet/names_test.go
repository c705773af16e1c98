package packet

import "testing"

// No two fields of a record share a newest name, in any version, and the newest names
// are those of the newest version.
func TestNewestNames(t *testing.T) {
	t.Parallel()
	newest := map[string]map[string]bool{}
	versions := Versions()
	for i := len(versions) - 1; i >= 0; i-- {
		s, err := Published(versions[i])
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.compiled()
		if err != nil {
			t.Fatal(err)
		}
		eachRecord(c.layout, map[string]bool{}, func(l *layout) {
			record, seen := newestRecord(l.name), map[string]string{}
			if newest[record] == nil {
				newest[record] = map[string]bool{}
			}
			for _, f := range l.fields {
				name := newestField(record, f.name)
				if other, ok := seen[name]; ok {
					t.Errorf("%s: %s and %s are both %s", l.name, other, f.name, name)
				}
				seen[name] = f.name
				if again := newestField(record, name); again != name {
					t.Errorf("%s: %s is %s, and that is %s", l.name, f.name, name, again)
				}
				// A name that a later version has must not lead away from it.
				if newest[record][f.name] && name != f.name {
					t.Errorf("%s: %s is in a later version, and yet is %s", l.name, f.name, name)
				}
			}
			for name := range seen {
				newest[record][name] = true
			}
		})
	}
	for _, c := range [][3]string{
		{"diaSource", "psFlux_psDecl_Cov", "psfFlux_psfDec_Cov"}, {"diaSource", "dipMeanFlux_dipRa_Cov", "dipoleMeanFlux_dipoleRa_Cov"},
		{"diaObject", "uPSFluxMeanErr", "u_psfFluxMeanErr"}, {"diaObject", "gLcNonPeriodic01", "g_lcNonPeriodic01"}, {"diaObject", "pmDecl_parallax_Cov", "pmDec_parallax_Cov"},
		{"ssObject", "uH_uG12_Cov", "u_H_u_G12_Cov"}, {"ssObject", "u_H_uG12_Cov", "u_H_u_G12_Cov"}, {"ssObject", "yNdata", "y_Ndata"},
		{"alert", "alertId", "diaSourceId"}, {"mpc_orbits", "epoch", "epoch_mjd"}, {"diaSource", "spuriousness", "spuriousness"},
	} {
		if got := newestField(c[0], c[1]); got != c[2] {
			t.Errorf("%s.%s is %s, not %s", c[0], c[1], got, c[2])
		}
	}
}

func eachRecord(l *layout, seen map[string]bool, visit func(*layout)) {
	if l == nil || seen[l.name] && l.kind == kindRecord {
		return
	}
	if l.kind == kindRecord {
		seen[l.name] = true
		visit(l)
	}
	for _, f := range l.fields {
		eachRecord(f.layout, seen, visit)
	}
	for _, b := range l.branches {
		eachRecord(b, seen, visit)
	}
	eachRecord(l.item, seen, visit)
}
