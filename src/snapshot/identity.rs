//! Who a provider's requests are sent as, where it is no key of its own: identities of clouds, and the
//! caller. Values only; tokens and signatures are made from them in `credential`.

use std::sync::Arc;

use super::SecretString;

/// An identity that a cloud gives credentials for, or the caller's.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Identity {
    /// AWS: requests are signed.
    Aws(AwsIdentity),
    /// Google Cloud: requests carry an access token.
    Gcp(GcpIdentity),
    /// Microsoft Entra ID: requests carry an access token.
    Azure(AzureIdentity),
    /// The caller itself: requests carry its own credential for the provider.
    Caller,
}

impl Identity {
    /// Whether requests are signed, which takes their whole body: AWS takes unsigned payloads nowhere
    /// but in S3 ("Create a signed AWS API request").
    pub fn signs(&self) -> bool {
        matches!(self, Self::Aws(_))
    }

    /// Whether an answer with this status may be about what was issued for it, so that it is asked for
    /// anew: AWS says 403 also of tokens that have expired or were withdrawn ("Common errors").
    pub fn is_doubted_by(&self, status: u16) -> bool {
        status == 401 || (self.signs() && status == 403)
    }

    /// Whether it is the gateway's own, and not one whose secret the provider's owner has stored.
    pub fn is_own(&self) -> bool {
        match self {
            Self::Aws(aws) => aws.keys.is_none(),
            Self::Gcp(gcp) => *gcp == GcpIdentity::Own,
            Self::Azure(AzureIdentity::Application { secret, .. }) => secret.is_none(),
            Self::Azure(AzureIdentity::Own) => true,
            Self::Caller => false,
        }
    }
}

/// An identity of AWS.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct AwsIdentity {
    /// Keys from a Secret; `None`: the gateway's own credentials.
    pub keys: Option<AwsKeys>,
    /// A role to assume with them.
    pub role: Option<AwsRole>,
    /// The region that requests are signed for.
    pub region: Arc<str>,
}

/// Keys of an IAM user, or temporary ones.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct AwsKeys {
    /// `AKIA...` or `ASIA...`. No secret, but nobody's business either.
    pub access_key_id: SecretString,
    /// The key that signs.
    pub secret_access_key: SecretString,
    /// Goes with temporary keys.
    pub session_token: Option<SecretString>,
}

/// A role of IAM.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct AwsRole {
    /// Its ARN.
    pub arn: Arc<str>,
    /// The provider's `namespace/name`: what the role's trust policy can demand, so that one
    /// namespace cannot use a role that another is trusted with.
    pub external_id: Arc<str>,
}

/// An identity of Google Cloud.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum GcpIdentity {
    /// The gateway's own: a file of credentials that the environment names, or the metadata server.
    Own,
    /// A key file, as JSON.
    Key(SecretString),
}

/// An identity of Microsoft Entra ID.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum AzureIdentity {
    /// The gateway's own: workload identity as the environment describes it, or the machine's managed
    /// identity.
    Own,
    /// An application.
    Application {
        /// Directory.
        tenant: Arc<str>,
        /// Application.
        client: Arc<str>,
        /// Its secret; `None`: the token file of workload identity.
        secret: Option<SecretString>,
    },
}
