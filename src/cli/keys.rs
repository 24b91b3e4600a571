//! `sluice keys create`: an API key, shown once, and the Secret that holds only its hash.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use serde::Serialize;

use crate::{
    api::consumer::{
        API_KEY_SECRET_TYPE, APP_LABEL, ENVIRONMENT_LABEL, EXPIRES_ANNOTATION, KEY_HASH, TEAM_LABEL,
    },
    manifest,
    schema::Schemas,
    snapshot::KeyDigest,
};

/// Random bytes in a key: 256 bits.
const KEY_BYTES: usize = 32;

/// Subcommands of `sluice keys`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key: the key goes to standard error once, its Secret's manifest to standard output.
    Create(CreateArgs),
}

/// Arguments of `sluice keys create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Name of the Secret.
    name: String,
    /// Namespace of the Secret.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// Application, for budgets, metrics and records.
    #[arg(long)]
    app: Option<String>,
    /// Team.
    #[arg(long)]
    team: Option<String>,
    /// Environment.
    #[arg(long)]
    environment: Option<String>,
    /// RFC 3339 time after which the key is refused, for example 2027-01-31T00:00:00Z.
    #[arg(long, value_parser = time)]
    expires: Option<jiff::Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretManifest<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    r#type: &'a str,
    string_data: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Create(args) = command;
    let key = generate()?;
    let text = write(args, &key)?;
    validate(&text)?;
    print!("{text}");
    eprintln!("API key (shown only now, the manifest has its hash): {key}");
    Ok(ExitCode::SUCCESS)
}

fn time(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| "write an RFC 3339 time, for example 2027-01-31T00:00:00Z".to_owned())
}

/// Refuses names and labels that the API server would refuse, before the key is shown.
fn validate(text: &str) -> anyhow::Result<()> {
    let schemas = Schemas::new()?;
    for document in manifest::parse(Path::new("manifest"), text)? {
        if let Some(violation) = schemas.validate(&document.value).into_iter().next() {
            bail!("{}", violation.message);
        }
    }
    Ok(())
}

fn generate() -> anyhow::Result<String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut bytes = [0; KEY_BYTES];
    if provider.secure_random.fill(&mut bytes).is_err() {
        bail!("the system's random source failed");
    }
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    Ok(format!("sk-sluice-{text}"))
}

fn write(args: &CreateArgs, key: &str) -> anyhow::Result<String> {
    let labels =
        [(APP_LABEL, &args.app), (TEAM_LABEL, &args.team), (ENVIRONMENT_LABEL, &args.environment)];
    let manifest = SecretManifest {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata {
            name: &args.name,
            namespace: &args.namespace,
            labels: labels.into_iter().filter_map(|(k, v)| Some((k, v.as_deref()?))).collect(),
            annotations: args
                .expires
                .iter()
                .map(|time| (EXPIRES_ANNOTATION, time.to_string()))
                .collect(),
        },
        r#type: API_KEY_SECRET_TYPE,
        string_data: BTreeMap::from([(
            KEY_HASH,
            format!("sha256:{}", KeyDigest::of(key.as_bytes()).to_hex()),
        )]),
    };
    serde_saphyr::to_string(&manifest).context("cannot write the manifest")
}
