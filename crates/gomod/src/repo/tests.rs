//! Rows of the table, and what is beside it.

use super::*;

fn of(path: &str) -> Result<Known, Error> {
    known(&ModulePath::parse(path).unwrap())
}

fn at(root: &str, vcs: Vcs) -> Known {
    Known::At { root: root.to_owned(), vcs, url: format!("https://{root}") }
}

fn probe(root: &str, vcs: Vcs, address: &str) -> Known {
    Known::Probe { root: root.to_owned(), vcs, address: address.to_owned() }
}

#[test]
fn hosts_of_the_table_need_no_look_up() {
    for (path, root) in [
        ("github.com/a/b", "github.com/a/b"),
        ("github.com/a/b/c/v2", "github.com/a/b"),
        ("github.com/A-._b/C-._d/e", "github.com/A-._b/C-._d"),
        ("bitbucket.org/a/b/c", "bitbucket.org/a/b"),
        ("hub.jazz.net/git/user1/pkgname/sub", "hub.jazz.net/git/user1/pkgname"),
        ("git.apache.org/package-name.git/path/to", "git.apache.org/package-name.git"),
        ("git.apache.org/package-name_2.x.git", "git.apache.org/package-name_2.x.git"),
        ("git.openstack.org/openstack/swift", "git.openstack.org/openstack/swift"),
        ("git.openstack.org/openstack/swift/go/hummingbird", "git.openstack.org/openstack/swift"),
        ("git.openstack.org/openstack/swift.git", "git.openstack.org/openstack/swift.git"),
    ] {
        assert_eq!(of(path).unwrap(), at(root, Vcs::Git), "{path}");
    }
    let fossil = "chiselapp.com/user/kyle/repository/fossilgg";
    assert_eq!(of(fossil).unwrap(), at(fossil, Vcs::Fossil));
}

#[test]
fn what_cannot_be_there_is_refused_in_gos_words() {
    for (path, host) in [
        ("github.com", "github.com"),
        ("github.com/a", "github.com"),
        ("github.com/a/b/c~d", "github.com"),
        ("github.com/~a/b", "github.com"),
        ("bitbucket.org/a", "bitbucket.org"),
        ("hub.jazz.net/git", "hub.jazz.net/git"),
        ("hub.jazz.net/git/USER/pkgname", "hub.jazz.net/git"),
        ("hub.jazz.net/git/user", "hub.jazz.net/git"),
        ("git.apache.org", "git.apache.org"),
        ("git.apache.org/package-name", "git.apache.org"),
        ("git.apache.org/Package.git", "git.apache.org"),
        ("git.apache.org/package-name/path/to.git", "git.apache.org"),
        ("git.openstack.org/openstack", "git.openstack.org"),
        ("chiselapp.com/kyle/repository/fossilgg", "chiselapp.com"),
        ("chiselapp.com/user/kyle/fossilgg", "chiselapp.com"),
        ("chiselapp.com/user/kyle/repository/fossilgg/sub", "chiselapp.com"),
    ] {
        let error = of(path).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid {host} import path \"{path}\""));
    }
}

#[test]
fn a_suffix_is_not_wanted_where_the_host_is_known() {
    for (path, host) in [
        ("github.com/a/b.git", "github.com"),
        ("github.com/a/b.git/c", "github.com"),
        ("bitbucket.org/a/b.hg", "bitbucket.org"),
        ("github.com/a/b.fossil", "github.com"),
        ("hub.jazz.net/git/a/b.svn", "hub.jazz.net/git"),
    ] {
        let expected = format!("invalid version control suffix in {host}/ path");
        assert_eq!(of(path).unwrap_err().to_string(), expected, "{path}");
    }
    assert_eq!(of("github.com/a.git/b").unwrap(), at("github.com/a.git/b", Vcs::Git));
    assert_eq!(of("github.com/a/bgit").unwrap(), at("github.com/a/bgit", Vcs::Git));
}

#[test]
fn a_suffix_names_the_version_control_elsewhere() {
    for (path, root, vcs, address) in [
        ("x.org/r.git", "x.org/r.git", Vcs::Git, "x.org/r"),
        ("x.org/a/b/r.git/c/d.hg", "x.org/a/b/r.git", Vcs::Git, "x.org/a/b/r"),
        ("x.org/~user/r.hg/~c", "x.org/~user/r.hg", Vcs::Hg, "x.org/~user/r"),
        ("sub.x-y.org/r.git.git", "sub.x-y.org/r.git.git", Vcs::Git, "sub.x-y.org/r.git"),
        ("x.org/R_2.svn/v2", "x.org/R_2.svn", Vcs::Svn, "x.org/R_2"),
        ("x.org/r.bzr", "x.org/r.bzr", Vcs::Bzr, "x.org/r"),
        ("x.org/r.fossil", "x.org/r.fossil", Vcs::Fossil, "x.org/r"),
        // Its own rows say nothing of this one.
        ("hub.jazz.net/r.git", "hub.jazz.net/r.git", Vcs::Git, "hub.jazz.net/r"),
    ] {
        assert_eq!(of(path).unwrap(), probe(root, vcs, address), "{path}");
    }
}

#[test]
fn other_paths_are_asked_for() {
    for path in [
        "x.org",
        "x.org/r",
        "x.org/r.gitx",
        "x.git",
        "x.org/rgit",
        "x.org/r.git/a~b",
        "x.org/a~b/r.git",
        "x.org/a~b/y.org/r.git",
        "gopkg.in/yaml.v2",
        "github.community/a/b",
        "example.network/a",
        "rsc.io/quote",
    ] {
        assert_eq!(of(path), Ok(Known::Unlisted), "{path}");
    }
}

#[test]
fn reserved_names_are_never_asked_for() {
    let text = |path| of(path).unwrap_err().to_string();
    assert_eq!(text("example.net"), "no modules on example.net");
    assert_eq!(text("example.net/a.git"), "no modules on example.net");
    assert_eq!(text("rsc.io"), "rsc.io is not a module");
}

#[test]
fn names_of_version_control_are_read_back() {
    for name in ["git", "hg", "svn", "bzr", "fossil", "mod"] {
        assert_eq!(Vcs::parse(name).map(Vcs::as_str), Some(name));
    }
    for name in ["", "Git", "cvs", "git "] {
        assert_eq!(Vcs::parse(name), None);
    }
}
