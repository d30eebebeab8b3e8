//! Pages of larder itself: how to use it, robots, health, readiness.

/// Search engines have nothing to read here.
pub(crate) const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// How to use this server, for whoever opens it in a browser. `url` is where clients reach it, base
/// path included.
pub(crate) fn home(url: &str, version: &str) -> String {
    format!(
        "This is larder {version}, a Go module proxy.\n\
         \n\
         To use it:\n\
         \n    \
             go env -w GOPROXY={url}\n\
         \n\
         A module whose path matches the client's own GOPRIVATE or GONOPROXY is not asked\n\
         for here: the go command fetches it directly, past this server and its rules. Show\n\
         them with:\n\
         \n    \
             go env GOPRIVATE GONOPROXY\n\
         \n\
         To get only what is stored here already: GOPROXY={url}/cached-only\n"
    )
}

/// The answer to "is it alive?".
pub(crate) fn health(version: &str) -> String {
    format!("ok\nlarder {version}\n")
}

/// Why larder does not want traffic now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The data folder is not open yet, perhaps because another process holds it.
    Starting,
    /// It was told to stop.
    Draining,
}

impl NotReady {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Starting => "larder is starting: it waits for its data folder",
            Self::Draining => "larder is stopping",
        }
    }
}

/// The answer to "can it serve stored modules?", with what works less well than it should, a line
/// each.
pub(crate) fn ready(not_ready: Option<NotReady>, degraded: &[(&'static str, String)]) -> String {
    let mut text = match not_ready {
        None => "ready\n".to_owned(),
        Some(reason) => format!("not ready: {}\n", reason.text()),
    };
    for (reason, detail) in degraded {
        text.push_str("degraded: ");
        text.push_str(reason);
        text.push_str(": ");
        text.push_str(detail);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_page_names_the_proxy_line_and_what_bypasses_it() {
        let page = home("https://go.example.com/x", "1.2.3");
        assert!(page.contains("    go env -w GOPROXY=https://go.example.com/x\n"), "{page}");
        assert!(page.contains("GOPRIVATE"), "{page}");
        assert!(page.contains("larder 1.2.3"), "{page}");
    }

    #[test]
    fn readiness_lists_what_is_degraded() {
        let degraded = [("disk_full", "512 MiB free, 1 GiB wanted".to_owned())];
        assert_eq!(ready(None, &[]), "ready\n");
        assert_eq!(
            ready(None, &degraded),
            "ready\ndegraded: disk_full: 512 MiB free, 1 GiB wanted\n"
        );
        assert_eq!(ready(Some(NotReady::Draining), &[]), "not ready: larder is stopping\n");
    }
}
