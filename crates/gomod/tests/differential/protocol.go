package main

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
)

// plainHost is what larder takes for a host beyond Go's syntax: a name, or an address in brackets.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?$`)

// goproxy reads a GOPROXY value as go.dev/ref/mod documents it and the go command does it. larder
// wants more of a URL than the go command: a plain host, no query, no fragment.
func goproxy(args []string) []string {
	answer := ok()
	for list := args[0]; list != ""; {
		entry, mark := list, ""
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, mark, list = list[:i], list[i:i+1], list[i+1:]
		} else {
			list = ""
		}
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "":
			continue
		case entry == "off" || entry == "direct":
			return append(answer, entry)
		case strings.ContainsAny(entry, ".:/") && !strings.Contains(entry, ":/") && !path.IsAbs(entry):
			entry = "https://" + entry
		}
		base, err := url.Parse(entry)
		if err != nil || strings.ContainsAny(entry, "?#") {
			return []string{"error"}
		}
		switch base.Scheme {
		case "http", "https":
			if !plainHost.MatchString(base.Host) {
				return []string{"error"}
			}
			if strings.HasPrefix(base.Host, "[") {
				if address, err := netip.ParseAddr(base.Hostname()); err != nil || !address.Is6() {
					return []string{"error"}
				}
			}
		case "file":
			if *base != (url.URL{Scheme: base.Scheme, Path: base.Path, RawPath: base.RawPath}) {
				return []string{"error"}
			}
		default:
			return []string{"error"}
		}
		_, rest, _ := strings.Cut(entry, ":")
		if mark == "," {
			mark = ""
		}
		answer = append(answer, base.Scheme+"://"+strings.TrimRight(rest[2:], "/")+mark)
	}
	if len(answer) == 1 {
		return []string{"error"}
	}
	return answer
}

// request reads the path of a request as a server over net/url and x/mod/module would.
func request(args []string) []string {
	bad := []string{"error"}
	raw := args[0]
	if !strings.HasPrefix(raw, "/") {
		return bad
	}
	decoded, err := url.PathUnescape(raw[1:])
	if err != nil || strings.HasPrefix(decoded, "sumdb/") {
		return bad
	}
	if escaped, found := strings.CutSuffix(decoded, "/@latest"); found {
		if mod, err := module.UnescapePath(escaped); err == nil {
			return ok("latest", mod)
		}
		return bad
	}
	i := strings.LastIndex(decoded, "/@v/")
	if i < 0 {
		return bad
	}
	mod, err := module.UnescapePath(decoded[:i])
	if err != nil {
		return bad
	}
	file := decoded[i+len("/@v/"):]
	if file == "list" {
		return ok("list", mod)
	}
	suffix := path.Ext(file)
	escaped := strings.TrimSuffix(file, suffix)
	version, err := module.UnescapeVersion(escaped)
	if err != nil {
		return bad
	}
	if again, err := module.EscapeVersion(version); err != nil || again != escaped {
		return bad
	}
	_, major, _ := module.SplitPathVersion(mod)
	isVersion := module.CanonicalVersion(version) == version && module.CheckPathMajor(version, major) == nil
	switch {
	case suffix == ".info" && version == "latest":
		return ok("latest", mod)
	case suffix == ".info" && isVersion:
		return ok("info", mod, version)
	case suffix == ".info":
		return ok("revision", mod, version)
	case (suffix == ".mod" || suffix == ".zip") && isVersion:
		return ok(suffix[1:], mod, version)
	}
	return bad
}
