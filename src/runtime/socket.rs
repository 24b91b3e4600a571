//! Sockets from the configuration.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    config,
    proxy::server::{Listener, Tls, TlsFiles},
};

use super::RuntimeError;

/// Binds an address, with TLS if configured. To be called inside the runtime that will accept.
pub(super) fn bind(
    address: SocketAddr,
    name: &'static str,
    tls: Option<&config::Tls>,
) -> Result<Listener, RuntimeError> {
    let tls = tls.map(load).transpose()?;
    Ok(Listener::bind(name, address, tls)?)
}

fn load(tls: &config::Tls) -> Result<Arc<Tls>, RuntimeError> {
    let config::Tls { cert_file, key_file, client_ca_file } = tls;
    let files = TlsFiles {
        cert_file: cert_file.clone(),
        key_file: key_file.clone(),
        client_ca_file: client_ca_file.clone(),
    };
    Ok(Tls::load(files)?)
}
