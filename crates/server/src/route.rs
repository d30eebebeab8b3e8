//! From a request target to what is asked for.

use proxy::Fetching;

use crate::BasePath;

/// What a request target asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// How to use this server.
    Home,
    /// What search engines may read: nothing.
    Robots,
    /// Is it alive?
    Health,
    /// Can it serve stored modules?
    Ready,
    /// Metrics as `OpenMetrics` text.
    Metrics,
    /// Something of the GOPROXY protocol, still percent-encoded, beginning with a slash.
    Module {
        /// What room `gomod` parses.
        path: &'p str,
        /// Whether it may be fetched.
        fetching: Fetching,
    },
}

/// A route and the base path it was found below, empty for the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Routed<'p> {
    pub(crate) route: Route<'p>,
    pub(crate) base: &'p str,
}

/// Prefixes, longest first, so that `/go/team` wins over `/go`.
#[derive(Debug, Clone, Default)]
pub(crate) struct BasePaths(Vec<BasePath>);

impl BasePaths {
    pub(crate) fn new(mut paths: Vec<BasePath>) -> Self {
        paths.sort_by_key(|path| std::cmp::Reverse(path.as_str().len()));
        Self(paths)
    }

    /// Finds what `path`, the raw path of a request target, asks for.
    ///
    /// A name of ours cannot be a module: modules are only asked for by `/@v/` and `/@latest`, and
    /// the first element of a module path has a dot, which `cached-only` has not.
    pub(crate) fn route<'p>(&self, path: &'p str) -> Routed<'p> {
        let below = self.0.iter().find_map(|base| base.strip(path));
        let rest = below.unwrap_or(path);
        let base = path.strip_suffix(rest).unwrap_or_default();
        let route = match rest {
            "" | "/" | "/cached-only" | "/cached-only/" => Route::Home,
            "/robots.txt" => Route::Robots,
            "/healthz" => Route::Health,
            "/readyz" => Route::Ready,
            "/metrics" => Route::Metrics,
            _ => match rest.strip_prefix("/cached-only").filter(|inner| inner.starts_with('/')) {
                Some(path) => Route::Module { path, fetching: Fetching::CachedOnly },
                None => Route::Module { path: rest, fetching: Fetching::Allowed },
            },
        };
        Routed { route, base }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases() -> BasePaths {
        let paths = ["/go", "/go/team", "/artifactory/api/go/x"];
        BasePaths::new(paths.map(|path| path.parse().unwrap()).to_vec())
    }

    fn module(path: &str) -> Route<'_> {
        Route::Module { path, fetching: Fetching::Allowed }
    }

    #[test]
    fn our_own_pages_stand_at_the_root_and_below_each_base_path() {
        for (page, route) in [
            ("/robots.txt", Route::Robots),
            ("/healthz", Route::Health),
            ("/readyz", Route::Ready),
            ("/metrics", Route::Metrics),
            ("/", Route::Home),
            ("", Route::Home),
        ] {
            for base in ["", "/go", "/go/team", "/artifactory/api/go/x"] {
                let path = format!("{base}{page}");
                assert_eq!(bases().route(&path), Routed { route, base }, "{path}");
            }
        }
    }

    #[test]
    fn the_longest_base_path_is_stripped() {
        let list = "/m.io/a/@v/list";
        for base in ["", "/go", "/go/team", "/artifactory/api/go/x"] {
            let path = format!("{base}{list}");
            assert_eq!(bases().route(&path), Routed { route: module(list), base }, "{path}");
        }
    }

    #[test]
    fn the_root_always_works() {
        let path = "/m.io/a/@v/list";
        assert_eq!(BasePaths::default().route(path).route, module(path));
        assert_eq!(bases().route("/golang.org/x/@v/list").route, module("/golang.org/x/@v/list"));
    }

    #[test]
    fn cached_only_turns_fetching_off_everywhere() {
        let cached = Route::Module { path: "/m.io/a/@v/list", fetching: Fetching::CachedOnly };
        for base in ["", "/go", "/artifactory/api/go/x"] {
            let path = format!("{base}/cached-only/m.io/a/@v/list");
            assert_eq!(bases().route(&path).route, cached, "{path}");
        }
    }

    #[test]
    fn cached_only_itself_is_a_usable_proxy_url() {
        assert_eq!(bases().route("/cached-only").route, Route::Home);
        assert_eq!(bases().route("/go/cached-only/").route, Route::Home);
    }

    #[test]
    fn names_that_only_begin_like_ours_are_for_the_protocol_to_judge() {
        for path in
            ["/healthz/", "/robots.txt/@v/list", "/cached-onlyx/@v/list", "//", "*", "/metricsz"]
        {
            assert_eq!(bases().route(path).route, module(path), "{path}");
        }
    }

    #[test]
    fn escapes_stay_as_they_came() {
        let path = "/github.com/%21azure/sdk/@v/v1.0.0.mod";
        assert_eq!(bases().route(path).route, module(path));
    }
}
