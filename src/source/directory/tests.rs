//! A folder that is edited: what counts, what is kept, what is said.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{compile::Inputs, snapshot::ObjectName};

const PROVIDER: &str = "apiVersion: sluice.dev/v1alpha1\nkind: AIProvider\nmetadata: {name: p}\n\
                        spec:\n  type: Mock\n";
const ROUTE: &str = "apiVersion: sluice.dev/v1alpha1\nkind: AIRoute\nmetadata: {name: r}\nspec:\n  \
                     models: [a]\n  rules: [{targets: [{providerRef: {name: p}}]}]\n";

/// A folder that is removed again, with a source that reads it at times of the test's choice.
struct Bed {
    root: PathBuf,
    source: Source,
    start: Instant,
}

impl Bed {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("sluice-folder-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let reader = Reader::new(|name| (name == "SET").then(|| "sk-1".to_owned())).unwrap();
        let current = Current::new(Inputs::default());
        let source = Source { folder: Folder::new(root.clone()), reader, current };
        Self { root, source, start: Instant::now() }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Reads at a time after the start.
    fn at(&mut self, millis: u64) -> bool {
        self.source.step(self.start + Duration::from_millis(millis))
    }

    fn inputs(&self) -> Inputs {
        self.source.current.inputs()
    }

    fn has_route(&self) -> bool {
        self.inputs().routes.get(&name("r")).is_some_and(|route| route.spec.is_ok())
    }

    fn said(&mut self) -> String {
        let built = self.source.reader.read(self.source.folder.documents());
        let mut messages = self.source.folder.messages();
        messages.extend(built.messages);
        messages.into_iter().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

#[test]
fn manifests_are_found_in_folders_and_hidden_and_other_files_are_not() {
    let mut bed = Bed::new();
    bed.write("a/b/provider.yml", PROVIDER);
    bed.write("route.yaml", ROUTE);
    bed.write(".hidden.yaml", "not: [yaml");
    bed.write(".git/x.yaml", "not: [yaml");
    bed.write("README.md", "not: [yaml");
    assert!(!bed.at(0));
    assert!(bed.has_route());
    assert!(bed.inputs().providers.contains_key(&name("p")));
    assert_eq!(bed.said(), "");
}

#[test]
fn half_written_files_never_take_a_route_away() {
    let mut bed = Bed::new();
    bed.write("route.yaml", ROUTE);
    bed.at(0);
    bed.write("route.yaml", "");
    assert!(bed.at(10), "an empty file has to be looked at again");
    assert!(bed.at(900) && bed.has_route());
    bed.write("route.yaml", &ROUTE[..ROUTE.len() - 10]);
    bed.at(950);
    bed.at(5000);
    assert!(bed.has_route(), "a file that is no YAML keeps what it held");
    assert!(bed.said().contains("its 1 objects stay as they were"));
    bed.write("route.yaml", &ROUTE[..ROUTE.find("  rules").unwrap()]);
    bed.at(5100);
    assert!(bed.at(5900) && bed.has_route(), "YAML, but shorter, and not the object it was");
    bed.write("route.yaml", ROUTE);
    bed.at(6000);
    bed.at(6200);
    assert_eq!(bed.said(), "");
}

#[test]
fn changes_and_removals_count_when_they_have_settled() {
    let mut bed = Bed::new();
    bed.write("route.yaml", ROUTE);
    bed.at(0);
    bed.write("provider.yaml", PROVIDER);
    assert!(bed.at(10));
    assert!(bed.inputs().providers.is_empty());
    assert!(!bed.at(110));
    assert_eq!(bed.inputs().providers.len(), 1);
    std::fs::remove_file(bed.root.join("route.yaml")).unwrap();
    assert!(bed.at(200) && bed.has_route());
    assert!(!bed.at(1200));
    assert!(!bed.has_route());
}

#[test]
fn broken_objects_degrade_only_themselves_with_file_and_line() {
    let mut bed = Bed::new();
    let broken = ROUTE.replace("models: [a]", "models: ['a*b']").replace("name: r", "name: broken");
    bed.write("all.yaml", &format!("{ROUTE}---\n{broken}"));
    bed.at(0);
    assert!(bed.has_route());
    let inputs = bed.inputs();
    let error = inputs.routes[&name("broken")].spec.clone().unwrap_err();
    assert!(error.contains("all.yaml:12: spec.models[0]: Invalid value"), "{error}");
}

#[test]
fn the_first_of_two_equal_names_is_used_and_the_other_named() {
    let mut bed = Bed::new();
    bed.write("a.yaml", PROVIDER);
    bed.write("b.yaml", PROVIDER);
    bed.at(0);
    assert!(bed.said().contains("b.yaml:1: AIProvider default/p already stands at"));
}

#[test]
fn secrets_are_expanded_and_those_that_can_not_be_are_left_out() {
    let mut bed = Bed::new();
    let secret = |name: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, labels: {{a: b}}}}\n\
             type: sluice.dev/api-key\nstringData: {{key: {value}}}\n---\n"
        )
    };
    bed.write("keys.yaml", &(secret("good", "$(SET)") + &secret("bad", "$(UNSET)")));
    bed.at(0);
    let inputs = bed.inputs();
    assert_eq!(inputs.consumers[&name("good")].text("key"), Some("sk-1"));
    assert!(!inputs.consumers.contains_key(&name("bad")));
    assert!(bed.said().contains("keys.yaml:11: environment variable UNSET is not set"));
}

#[cfg(unix)]
#[test]
fn mounted_config_maps_are_followed_when_they_are_swapped() {
    use std::os::unix::fs::symlink;
    let mut bed = Bed::new();
    bed.write("..one/all.yaml", ROUTE);
    bed.write("..two/all.yaml", &ROUTE.replace("[a]", "[b]"));
    symlink("..one", bed.root.join("..data")).unwrap();
    symlink("..data/all.yaml", bed.root.join("all.yaml")).unwrap();
    symlink(".", bed.root.join("loop")).unwrap();
    bed.at(0);
    assert!(bed.has_route());
    symlink("..two", bed.root.join("..next")).unwrap();
    std::fs::rename(bed.root.join("..next"), bed.root.join("..data")).unwrap();
    bed.at(10);
    bed.at(200);
    assert_eq!(bed.inputs().routes[&name("r")].spec.clone().unwrap().models, ["b"]);
    assert_eq!(bed.said(), "");
}

#[tokio::test]
async fn a_watched_folder_reports_a_new_file_and_stops_when_told() {
    let bed = Bed::new();
    let current = Current::new(Inputs::default());
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(bed.root.clone(), current.clone(), stop.clone()));
    current.synced().await;
    bed.write("route.yaml", ROUTE);
    while current.inputs().routes.is_empty() {
        current.changed().await;
    }
    stop.cancel();
    task.await.unwrap();
}
