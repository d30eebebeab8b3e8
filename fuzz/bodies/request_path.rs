//! Request paths: what parses is written back and parses to the same request.

use gomod::Request;

/// Tries one request path.
pub(crate) fn run(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let Ok(request) = Request::parse(path) else { return };
    let canonical = match &request {
        Request::List(module) => format!("/{}/@v/list", module.escaped()),
        Request::Latest(module) => format!("/{}/@latest", module.escaped()),
        Request::Info(module, query) => {
            format!("/{}/@v/{}.info", module.escaped(), query.escaped())
        }
        Request::Mod(m) => format!("/{}/@v/{}.mod", m.path().escaped(), m.version().escaped()),
        Request::Zip(m) => format!("/{}/@v/{}.zip", m.path().escaped(), m.version().escaped()),
        Request::Sumdb(path) => {
            for (end, _) in path.as_str().match_indices('/') {
                let name = path.as_str().get(..end).unwrap_or_default();
                assert!(path.below(name).is_some());
            }
            format!("/sumdb/{}", path.as_str())
        }
    };
    // A percent sign in a revision has to be encoded once more.
    assert_eq!(Request::parse(&canonical.replace('%', "%25")), Ok(request));
}
