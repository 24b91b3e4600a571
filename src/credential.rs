//! Credentials of clouds: from an [`Identity`] to what a request carries, kept fresh. Owns the token
//! flows of AWS, Google Cloud and Microsoft Entra ID, and the signing of requests to AWS.
//!
//! It is the only code that may call metadata services. The addresses that it calls come from the
//! process's own environment, or are those of the clouds; none is taken from a custom resource or a
//! Secret. Nothing secret is ever part of a message.

mod aws;
mod azure;
mod cache;
mod environment;
mod error;
mod form;
mod gcp;
mod http;

use std::{collections::HashMap, sync::Arc};

use ::http::{HeaderValue, Request, header};
use jiff::Timestamp;
use parking_lot::RwLock;
use rustls::ClientConfig;

use crate::{
    budget::Clock,
    snapshot::{AwsKeys, Identity, SecretString},
};

use cache::Slot;
use http::Http;

pub use environment::Environment;
pub use error::Unavailable;

/// Identities are forgotten together beyond this many (a process that has seen very many Secrets);
/// those in use are fetched anew.
const MAX_IDENTITIES: usize = 4096;

/// What a cloud has issued.
struct Issued {
    grant: Grant,
    fetched: Timestamp,
    /// `None`: never.
    expires: Option<Timestamp>,
}

/// What a request is authenticated with.
enum Grant {
    /// Keys that sign.
    Aws(AwsKeys),
    /// An access token.
    Bearer(SecretString),
}

/// Where credentials come from, with those that were issued.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

struct Shared {
    http: Http,
    environment: Environment,
    clock: Arc<dyn Clock>,
    allow_loopback: bool,
    slots: RwLock<HashMap<Arc<Identity>, Arc<Slot>>>,
}

impl Credentials {
    /// No credentials yet. `allow_loopback`: key files may name token servers on the machine itself.
    pub fn new(
        tls: ClientConfig,
        environment: Environment,
        clock: Arc<dyn Clock>,
        allow_loopback: bool,
    ) -> Self {
        let (http, slots) = (Http::new(tls), RwLock::default());
        Self(Arc::new(Shared { http, environment, clock, allow_loopback, slots }))
    }

    /// Authenticates a request that is otherwise complete. `body`: what it sends, which only identities
    /// that [sign](Identity::signs) look at.
    ///
    /// # Errors
    /// [`Unavailable`] if the cloud issues nothing.
    pub async fn authorize<B>(
        &self,
        identity: &Arc<Identity>,
        request: &mut Request<B>,
        body: &[u8],
    ) -> Result<(), Unavailable> {
        // It came with the caller's headers.
        if **identity == Identity::Caller {
            return Ok(());
        }
        if let Identity::Aws(aws) = &**identity
            && aws.role.is_none()
            && let Some(keys) = &aws.keys
        {
            return aws::sign(request, body, keys, (&aws.region, aws::BEDROCK), self.now());
        }
        let issued = self.issued(identity).await?;
        match (&issued.grant, &**identity) {
            (Grant::Aws(keys), Identity::Aws(aws)) => {
                aws::sign(request, body, keys, (&aws.region, aws::BEDROCK), self.now())
            }
            (Grant::Bearer(token), _) => bearer(request, token),
            (Grant::Aws(_), _) => Err(Unavailable::Unusable("keys of AWS for another cloud")),
        }
    }

    /// The provider refused what was issued: if that is not brand-new, the next request asks anew.
    pub fn refused(&self, identity: &Identity) {
        if let Some(slot) = self.0.slots.read().get(identity) {
            slot.forget(self.now());
        }
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn issued(&self, identity: &Arc<Identity>) -> Result<Arc<Issued>, Unavailable> {
        let slot = self.slot(identity);
        let (credentials, wanted) = (self.clone(), Arc::clone(identity));
        let clock = Arc::clone(&self.0.clock);
        slot.get(clock, move || async move { credentials.fetch(&wanted).await }).await
    }

    fn slot(&self, identity: &Arc<Identity>) -> Arc<Slot> {
        if let Some(slot) = self.0.slots.read().get(identity) {
            return Arc::clone(slot);
        }
        let mut slots = self.0.slots.write();
        if slots.len() >= MAX_IDENTITIES {
            slots.clear();
        }
        Arc::clone(slots.entry(Arc::clone(identity)).or_default())
    }

    /// Asks the cloud. Boxed, for a role of AWS is asked for with credentials that come from here.
    fn fetch<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Issued, Unavailable>> + Send + 'a>> {
        Box::pin(async move {
            match identity {
                Identity::Aws(aws) => aws::fetch(self, aws).await,
                Identity::Gcp(gcp) => gcp::fetch(self, gcp).await,
                Identity::Azure(azure) => azure::fetch(self, azure).await,
                Identity::Caller => Err(Unavailable::NoIdentity("the caller's provider")),
            }
        })
    }

    /// An access token that is valid for so many seconds.
    fn token(&self, token: String, seconds: u64) -> Issued {
        let fetched = self.now();
        // No cloud issues tokens for longer than a day.
        let seconds = i64::try_from(seconds.min(86_400)).unwrap_or_default();
        let expires = fetched.saturating_add(jiff::SignedDuration::from_secs(seconds)).ok();
        Issued { grant: Grant::Bearer(SecretString::new(token)), fetched, expires }
    }
}

/// Puts an access token on a request.
fn bearer<B>(request: &mut Request<B>, token: &SecretString) -> Result<(), Unavailable> {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Unavailable::Unusable("an access token that fits into no header"))?;
    value.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests;
