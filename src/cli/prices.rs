//! `sluice prices`: what models cost, and who says so.

mod row;

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;

use crate::{
    compile::{self, Inputs},
    price::{self, PriceBook, PriceList, Scope, builtin},
    snapshot::Model,
    source::directory,
};

use super::{FOUND_MISTAKES, output::Output};
use row::Row;

/// Arguments of `sluice prices`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Manifests whose AIProviders and ConfigMaps with prices count: files, folders, and - for the
    /// standard input.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only this type, or everything that holds for one AIProvider, namespace/name.
    #[arg(long, value_name = "TYPE|NAMESPACE/NAME")]
    provider: Option<String>,
    /// Only this model, found as for a request.
    #[arg(long)]
    model: Option<String>,
    /// How prices are printed.
    #[arg(long, default_value = "table")]
    output: Output,
}

/// Whoever prices hold for: a type, or one AIProvider.
struct Group {
    name: String,
    kind: String,
    is_provider: bool,
    catalogue: HashMap<String, Model>,
    /// What stands for this AIProvider alone.
    own: Option<PriceList>,
    /// Everything, the first that names a model decides.
    lists: Vec<Arc<PriceList>>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (inputs, mut mistakes) = inputs(&args.paths)?;
    let (book, notes) = compile::price_book(&inputs);
    for (name, note) in &notes {
        mistakes.extend(note.messages().map(|message| format!("ConfigMap {name}: {message}")));
    }
    let mut groups = groups(&inputs, &book, &mut mistakes);
    if let Some(wanted) = &args.provider {
        groups.retain(|group| group.name == *wanted || group.kind == *wanted);
        anyhow::ensure!(
            !groups.is_empty(),
            "{wanted} is neither a type with prices nor an AIProvider of the manifests"
        );
    }
    let rows: Vec<Row> = match &args.model {
        Some(model) => groups.iter().filter_map(|group| group.find(model)).collect(),
        None => {
            let alone = |group: &Group| args.provider.as_ref() == Some(&group.name);
            groups.iter().flat_map(|group| group.rows(alone(group))).collect()
        }
    };
    args.output.print(&*rows, row::table)?;
    for mistake in &mistakes {
        eprintln!("sluice: {mistake}");
    }
    if rows.is_empty() {
        eprintln!("sluice: no price: add one to an AIProvider or to a ConfigMap with prices");
    }
    let is_good = mistakes.is_empty() && !rows.is_empty();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(FOUND_MISTAKES) })
}

fn inputs(paths: &[PathBuf]) -> anyhow::Result<(Inputs, BTreeSet<String>)> {
    for path in paths.iter().filter(|path| path.as_os_str() != directory::STDIN) {
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let listing = directory::list(paths, |name| std::env::var(name).ok())?;
    Ok((listing.inputs, listing.mistakes))
}

/// Types first, then AIProviders.
fn groups(inputs: &Inputs, book: &PriceBook, mistakes: &mut BTreeSet<String>) -> Vec<Group> {
    let overlaid = book.overlays().filter_map(|(scope, _)| match scope {
        Scope::Type(kind) => Some(kind.as_str()),
        Scope::Provider(_) => None,
    });
    let types: BTreeSet<&str> = builtin().iter().map(|(kind, _)| kind).chain(overlaid).collect();
    let of_type = |kind: &str| Group {
        name: kind.to_owned(),
        kind: kind.to_owned(),
        is_provider: false,
        catalogue: HashMap::new(),
        own: None,
        lists: book.lists(kind, ""),
    };
    let mut groups: Vec<_> = types.into_iter().map(of_type).collect();
    for (name, object) in &inputs.providers {
        let Ok(spec) = &object.spec else { continue };
        let (name, kind) = (name.to_string(), spec.provider_type.as_str());
        let lists = book.lists(kind, &name);
        let catalogue = compile::catalogue(spec, &lists).unwrap_or_else(|problem| {
            mistakes.insert(format!("AIProvider {name}: {}", problem.message));
            HashMap::new()
        });
        let scope = Scope::Provider(name.clone());
        let own = book.overlays().find(|(other, _)| **other == scope);
        let own = own.map(|(_, list)| list.clone());
        groups.push(Group {
            name,
            kind: kind.to_owned(),
            is_provider: true,
            catalogue,
            own,
            lists,
        });
    }
    groups
}

impl Group {
    /// The models by name; of an AIProvider only what stands for it alone, unless all is wanted.
    fn rows(&self, all: bool) -> Vec<Row> {
        let mut names: BTreeSet<&str> = self.catalogue.keys().map(String::as_str).collect();
        match self.is_provider && !all {
            true => names.extend(self.own.iter().flat_map(PriceList::iter).map(|(name, _)| name)),
            false => {
                names.extend(self.lists.iter().flat_map(|list| list.iter()).map(|(name, _)| name))
            }
        }
        names.into_iter().map(|name| self.row(name)).collect()
    }

    /// One model, if it has a price.
    fn find(&self, model: &str) -> Option<Row> {
        Some(self.row(model)).filter(Row::is_priced)
    }

    /// One model, as a request finds it.
    fn row(&self, model: &str) -> Row {
        let mut known = price::find(&self.catalogue, model).cloned().unwrap_or_default();
        known.complete(model, &self.lists);
        let mut entries =
            self.lists.iter().filter_map(|list| Some((list.source, list.find(model)?)));
        let origin = entries
            .find(|(source, entry)| *source == known.price_source && entry.price.is_some())
            .map_or_else(
                || format!("AIProvider {}", self.name),
                |(_, entry)| entry.origin.to_string(),
            );
        Row::new(&self.name, model, &known, (origin, known.context_window))
    }
}
