package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// failed tells the innermost reason, up to the first quotation.
func failed(err error) []string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	reason, _, _ := strings.Cut(err.Error(), "\"")
	reason, _, _ = strings.Cut(reason, "'")
	return []string{"error", strings.TrimSpace(reason)}
}

func checkPath(args []string) []string {
	if err := module.CheckPath(args[0]); err != nil {
		return failed(err)
	}
	return ok()
}

func checkFilePath(args []string) []string {
	if err := module.CheckFilePath(args[0]); err != nil {
		return failed(err)
	}
	return ok()
}

func escapePath(args []string) []string {
	escaped, err := module.EscapePath(args[0])
	if err != nil {
		return []string{"error"}
	}
	return ok(escaped)
}

func unescapePath(args []string) []string {
	path, err := module.UnescapePath(args[0])
	if err != nil {
		return []string{"error"}
	}
	return ok(path)
}

func splitPath(args []string) []string {
	if module.CheckPath(args[0]) != nil {
		return []string{"error"}
	}
	prefix, major, _ := module.SplitPathVersion(args[0])
	return ok(prefix, major)
}

func escapeVersion(args []string) []string {
	escaped, err := module.EscapeVersion(args[0])
	if err != nil {
		return []string{"error"}
	}
	return ok(escaped)
}

func canonical(args []string) []string {
	v := args[0]
	return ok(semver.Canonical(v), fmt.Sprint(semver.IsValid(v) && module.CanonicalVersion(v) == v))
}

func compare(args []string) []string {
	sorted := []string{args[0], args[1]}
	semver.Sort(sorted)
	return ok(fmt.Sprint(semver.Compare(args[0], args[1])), sorted[0])
}

func semverParts(args []string) []string {
	v := args[0]
	return ok(semver.Major(v), semver.Prerelease(v), semver.Build(v))
}

func pseudo(args []string) []string {
	v := args[0]
	// larder has canonical versions only: no other build metadata than +incompatible.
	if !module.IsPseudoVersion(v) || module.CanonicalVersion(v) != v {
		return ok("false")
	}
	time := "none"
	if t, err := module.PseudoVersionTime(v); err == nil {
		time = t.Format(module.PseudoVersionTimestampFormat)
	}
	rev, err := module.PseudoVersionRev(v)
	if err != nil {
		rev = "error"
	}
	base, err := module.PseudoVersionBase(v)
	if err != nil {
		base = "error"
	}
	return ok("true", time, rev, base)
}

func pathMajor(args []string) []string {
	if module.CheckPath(args[0]) != nil || module.CanonicalVersion(args[1]) != args[1] || args[1] == "" {
		return []string{"error"}
	}
	_, major, _ := module.SplitPathVersion(args[0])
	return ok(fmt.Sprint(module.CheckPathMajor(args[1], major) == nil))
}

func patterns(args []string) []string {
	return ok(fmt.Sprint(module.MatchPrefixPatterns(args[0], args[1])))
}

func modFile(args []string) []string {
	file, err := modfile.ParseLax("go.mod", []byte(args[0]), nil)
	if err != nil {
		return []string{"error"}
	}
	answer := ok()
	if file.Module != nil {
		answer = append(answer, "module", file.Module.Mod.Path, file.Module.Deprecated)
	}
	if file.Go != nil {
		answer = append(answer, "go", file.Go.Version)
	}
	if name, found := toolchain(file); found {
		answer = append(answer, "toolchain", name)
	}
	for _, require := range file.Require {
		answer = append(answer, "require", require.Mod.Path, require.Mod.Version)
	}
	for _, retract := range file.Retract {
		answer = append(answer, "retract", retract.Low, retract.High, retract.Rationale)
	}
	return answer
}

// toolchain finds the first valid toolchain line, which ParseLax passes over.
func toolchain(file *modfile.File) (string, bool) {
	for _, statement := range file.Syntax.Stmt {
		line, isLine := statement.(*modfile.Line)
		if isLine && len(line.Token) == 2 && line.Token[0] == "toolchain" &&
			modfile.ToolchainRE.MatchString(line.Token[1]) {
			return line.Token[1], true
		}
	}
	return "", false
}

// fold folds as golang.org/x/mod/zip does for its collision check.
func fold(args []string) []string {
	folded := strings.Map(func(r rune) rune {
		low := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			low = min(low, next)
		}
		if 'A' <= low && low <= 'Z' {
			low += 'a' - 'A'
		}
		return low
	}, args[0])
	return ok(folded)
}

func unicodeVersion([]string) []string { return ok(unicode.Version) }
