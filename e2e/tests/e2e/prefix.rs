//! Below a path of another server.

use e2e::{Go, Nginx};
use testkit::{ModuleVersion, Modules};

use super::Stage;

const BASE: &str = "/artifactory/api/go/all";

#[test]
fn clients_behind_nginx_keep_their_base_path() -> anyhow::Result<()> {
    let mut modules = Modules::new();
    modules.add(&ModuleVersion::new("example.com/Upper/SHELF", "v1.0.0-RC1"));
    let stage = Stage::with(modules, |settings| settings.with("LARDER_SERVER_BASE_PATHS", BASE))?;
    let larder = stage.larder.url();
    // Without a path, proxy_pass hands the request on as it came (%21); with one, nginx decodes it (!).
    let locations = format!(
        "location {BASE}/ {{ proxy_pass {larder}; }}\nlocation /other/ {{ proxy_pass {larder}{BASE}/; }}\nlocation = / {{ return 204; }}\n"
    );
    let nginx = Nginx::start(stage.folder.path(), &locations)?;
    for base in [BASE, "/other"] {
        for escaped in
            ["example.com/%21upper/%21s%21h%21e%21l%21f", "example.com/!upper/!s!h!e!l!f"]
        {
            let list = testkit::get(&format!("{}{base}/{escaped}/@v/list", nginx.url()))?;
            assert_eq!(
                (list.status, list.text().as_str()),
                (200, "v1.0.0-RC1\n"),
                "{base}/{escaped}"
            );
        }
        for go in Go::all()? {
            let client = go.client(stage.folder.path(), &format!("{}{base}", nginx.url()))?;
            let project = client.project(&[("example.com/Upper/SHELF", "v1.0.0-RC1")])?;
            assert_eq!(project.build_and_run()?, "v1.0.0-RC1\n", "{}", go.version());
        }
    }
    assert_eq!(stage.upstream.calls("*.zip"), 1);
    Ok(())
}
