//! Consumers are Secrets: the type, keys, labels and annotations that make one.

/// `type` of a Secret that holds one API key of a consumer.
pub const API_KEY_SECRET_TYPE: &str = "sluice.dev/api-key";
/// Data key with the API key itself.
pub const KEY: &str = "key";
/// Data key with `sha256:<64 hex digits>` of the API key, safe to commit to Git.
pub const KEY_HASH: &str = "keyHash";
/// Label naming the application.
pub const APP_LABEL: &str = "sluice.dev/app";
/// Label naming the team.
pub const TEAM_LABEL: &str = "sluice.dev/team";
/// Label naming the environment.
pub const ENVIRONMENT_LABEL: &str = "sluice.dev/environment";
/// Annotation with the RFC 3339 time after which the key is refused.
pub const EXPIRES_ANNOTATION: &str = "sluice.dev/expires";
