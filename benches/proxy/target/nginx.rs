//! nginx as a reverse proxy for streams: where it is, and a configuration of its own that touches
//! nothing of the system's.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The nginx on `PATH` or in the usual place for system programs.
pub fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
}

/// Writes a configuration into `folder` and returns its path: one process, no access log, no
/// buffering, connections to the upstream kept.
///
/// # Errors
/// The folder cannot be written.
pub fn write_configuration(
    folder: &Path,
    listen: SocketAddr,
    upstream: SocketAddr,
) -> Result<PathBuf> {
    fs::create_dir_all(folder).context("cannot make nginx's folder")?;
    let file = folder.join("nginx.conf");
    // Without a master there is no second process to meter and none to leave behind.
    let text = format!(
        "daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000000;
  client_body_buffer_size 256k;
  client_max_body_size 32m;
  upstream mock {{
    server {upstream};
    keepalive 1024;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
      proxy_request_buffering off;
    }}
  }}
}}
"
    );
    fs::write(&file, text).context("cannot write nginx's configuration")?;
    Ok(file)
}
