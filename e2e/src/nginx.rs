//! nginx in front of larder, or as a static server.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

/// A running nginx; ended when dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    /// Starts nginx with these `location` blocks; everything it writes goes below `folder`.
    ///
    /// # Errors
    ///
    /// When nginx is not installed or does not come up.
    pub fn start(folder: &Path, locations: &str) -> anyhow::Result<Self> {
        let port = crate::free_port()?;
        let shown = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {shown}/{kind};\n"))
            .concat();
        let text = format!(
            "daemon off;\nmaster_process off;\npid {shown}/nginx.pid;\nerror_log {shown}/nginx.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{port};\n{locations}\n}}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text)?;
        let child = Command::new("nginx")
            .args(["-e", "stderr", "-p"])
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .context("nginx must be installed")?;
        let mut nginx = Self { child, url: format!("http://127.0.0.1:{port}") };
        let url = nginx.url.clone();
        let alive = crate::becomes_true(|| nginx.has_ended() || testkit::get(&url).is_ok());
        ensure!(
            alive && !nginx.has_ended(),
            "nginx did not come up: {}",
            std::fs::read_to_string(folder.join("nginx.log"))?
        );
        Ok(nginx)
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
