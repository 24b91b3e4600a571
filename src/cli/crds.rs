//! `sluice crds`: the CustomResourceDefinitions.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;

/// Arguments of `sluice crds`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write one file per kind into this folder instead of printing.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(directory) = &args.directory {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    for definition in crate::api::definitions() {
        let text = serde_saphyr::to_string(&definition)?;
        match &args.directory {
            None => print!("---\n{text}"),
            Some(directory) => {
                let path = directory.join(format!("{}.yaml", definition.spec.names.plural));
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
