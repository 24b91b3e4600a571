//! `sluice explain`: where a request would go, and why not elsewhere, by the functions that the proxy
//! asks too.

mod request;
mod table;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use jiff::Timestamp;

use crate::{
    compile::{self, Inputs, Settings},
    llm::Peek,
    route::{self, Asked, explain::Request},
    snapshot::{Consumer, Snapshot},
    source::directory,
};

use super::{FOUND_MISTAKES, cluster, output::Output};

/// Arguments of `sluice explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model that the request names.
    #[arg(long)]
    model: String,
    /// Who sends it: the Secret of an API key. Default: somebody without a key.
    #[arg(long, value_name = "NAMESPACE/SECRET")]
    consumer: Option<String>,
    /// A header of the request; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// The request's body, a JSON file; - for the standard input. Default: a few words.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// What is called, for example chat/completions, messages or embeddings.
    #[arg(long, default_value = "chat/completions")]
    endpoint: String,
    /// Ask for a stream.
    #[arg(long)]
    stream: bool,
    /// The host that is asked for.
    #[arg(long)]
    hostname: Option<String>,
    /// When, for example 2027-01-31T22:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Manifests: files, folders with everything below them, and - for the standard input.
    #[arg(value_name = "PATH", required_unless_present = "kubeconfig")]
    paths: Vec<PathBuf>,
    /// Read the objects of this cluster instead.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    kubeconfig: Option<PathBuf>,
    /// The gateway's own namespace, whose budgets may count every namespace.
    #[arg(long, value_name = "NAMESPACE", default_value = "sluice-system")]
    gateway_namespace: String,
    /// How the explanation is printed.
    #[arg(long, default_value = "table")]
    output: Output,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let inputs = inputs(args)?;
    let compiled = compile::compile(&inputs);
    for (key, verdict) in &compiled.verdicts {
        for problem in verdict.problems() {
            eprintln!("sluice: {key}: {}", problem.message);
        }
    }
    let snapshot = compiled.snapshot;
    let now = args.at.unwrap_or_else(Timestamp::now);
    let consumer = consumer(args, &snapshot, now)?;
    let headers = request::headers(args)?;
    let called = request::called(args)?;
    let (body, mut peek) = request::body(args, &called)?;
    if peek.user.is_none() {
        peek.user = route::named_user(&headers);
    }
    let Peek { model, stream, max_output_tokens, user, .. } = &peek;
    let input = peek.input(called.endpoint, &body);
    let host = args.hostname.as_deref().map(str::to_ascii_lowercase);
    let asked = Asked {
        model,
        consumer: consumer.as_deref(),
        endpoint: called.endpoint,
        hostname: &host.map_or_else(|| route::hostname(None, &headers), Into::into),
        headers: &headers,
        body: &body,
        stream: *stream && called.endpoint.work().has_output(),
        input_tokens: input.tokens,
        max_output_tokens: *max_output_tokens,
        user: user.as_deref(),
        now,
    };
    let request = Request { asked, peek: &peek, input, body: &body };
    let explanation = route::explain(&snapshot, &request);
    args.output.print(&explanation, table::table)?;
    let answers = explanation.outcome.status == 200;
    Ok(if answers { ExitCode::SUCCESS } else { ExitCode::from(FOUND_MISTAKES) })
}

fn inputs(args: &Args) -> anyhow::Result<Inputs> {
    let gateway_namespace = args.gateway_namespace.as_str().into();
    let settings = Settings { gateway_namespace, ..Settings::default() };
    if let Some(kubeconfig) = &args.kubeconfig {
        return cluster::read(cluster::config(Some(kubeconfig))?, settings);
    }
    for path in args.paths.iter().filter(|path| path.as_os_str() != directory::STDIN) {
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    // A variable that is set only where the manifests run changes no way of a request.
    let environment = |name: &str| Some(std::env::var(name).unwrap_or_else(|_| "unset".into()));
    let mut listing = directory::list(&args.paths, environment)?;
    for mistake in &listing.mistakes {
        eprintln!("sluice: {mistake}");
    }
    listing.inputs.settings = Settings { allow_loopback: true, ..settings };
    Ok(listing.inputs)
}

fn consumer(
    args: &Args,
    snapshot: &Snapshot,
    now: Timestamp,
) -> anyhow::Result<Option<Arc<Consumer>>> {
    let Some(wanted) = &args.consumer else { return Ok(None) };
    let mut consumers = snapshot.consumers.iter();
    let found = consumers.find(|consumer| consumer.name.to_string() == *wanted);
    let found = found.with_context(|| {
        let mut names: Vec<_> = snapshot.consumers.iter().map(|c| c.name.to_string()).collect();
        names.sort();
        format!("there is no API key of Secret {wanted}; there are: {}", names.join(", "))
    })?;
    if let Some(expires) = found.expires.filter(|expires| *expires <= now) {
        anyhow::bail!("the API key of Secret {wanted} is refused since {expires}: it has expired");
    }
    Ok(Some(Arc::clone(found)))
}
