//! `sluice explain`: where a request would go, and why not elsewhere, by the functions that the proxy
//! asks too.

mod request;
mod table;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use jiff::Timestamp;

use crate::{
    compile::{self, Inputs},
    llm::Peek,
    route::{self, Asked, explain::Request},
    runtime,
    snapshot::{Consumer, Snapshot},
    source::directory,
};

use super::{FOUND_MISTAKES, cluster, output::Output, run};

/// Arguments of `sluice explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model that the request names. Default: the one that --body names.
    #[arg(long, required_unless_present = "body")]
    model: Option<String>,
    /// Who sends it: the Secret of an API key. Default: somebody without a key.
    #[arg(long, value_name = "NAMESPACE/SECRET")]
    consumer: Option<String>,
    /// A header of the request; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// The request's body, as it would be sent; - for the standard input. Default: a few words.
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
    /// Default: the configuration's.
    #[arg(long, value_name = "NAMESPACE")]
    gateway_namespace: Option<String>,
    /// The gateway's bootstrap configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One value of the gateway's configuration, for example prices.builtin=false.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How the explanation is printed.
    #[arg(long, default_value = "table")]
    output: Output,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let called = request::called(args)?;
    let headers = request::headers(args)?;
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
    let consumer = consumer.as_deref();
    let (body, peek) = request::body(args, &called)?;
    let explanation = match peek {
        Err(error) => route::unreadable(&snapshot, consumer, error),
        Ok(mut peek) => {
            if peek.user.is_none() {
                peek.user = route::named_user(&headers);
            }
            let Peek { model, stream, max_output_tokens, user, .. } = &peek;
            let input = peek.input(called.endpoint, &body);
            let asked = Asked {
                model,
                consumer,
                endpoint: called.endpoint,
                hostname: &route::hostname(None, &headers),
                headers: &headers,
                body: &body,
                stream: *stream && called.endpoint.work().has_output(),
                input_tokens: input.tokens,
                max_output_tokens: *max_output_tokens,
                user: user.as_deref(),
                now,
            };
            route::explain(&snapshot, &Request { asked, peek: &peek, input, body: &body })
        }
    };
    args.output.print(&explanation, table::table)?;
    let answers = explanation.outcome.status == 200;
    Ok(if answers { ExitCode::SUCCESS } else { ExitCode::from(FOUND_MISTAKES) })
}

fn inputs(args: &Args) -> anyhow::Result<Inputs> {
    let is_stdin = |path: &&PathBuf| path.as_os_str() == directory::STDIN;
    anyhow::ensure!(
        !args.paths.iter().any(|path| is_stdin(&path)) || !args.body.iter().any(|b| is_stdin(&b)),
        "the standard input is either the body or manifests: put one of them into a file"
    );
    let config = run::load(args.config.as_deref(), &args.set)?;
    let mut settings = runtime::settings(&config, args.kubeconfig.is_none());
    if let Some(namespace) = &args.gateway_namespace {
        settings.gateway_namespace = namespace.as_str().into();
    }
    if let Some(kubeconfig) = &args.kubeconfig {
        return cluster::read(cluster::config(Some(kubeconfig))?, settings);
    }
    for path in args.paths.iter().filter(|path| !is_stdin(path)) {
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    // A variable that is set only where the manifests run changes no way of a request.
    let environment = |name: &str| Some(std::env::var(name).unwrap_or_else(|_| "unset".into()));
    let mut listing = directory::list(&args.paths, environment)?;
    for mistake in &listing.mistakes {
        eprintln!("sluice: {mistake}");
    }
    let unread = listing.unread.len();
    anyhow::ensure!(unread == 0, "{unread} of the manifests cannot be read, see above");
    listing.inputs.settings = settings;
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
