//! Brings up a cluster with a real node (`node/up.sh`) and makes images for it. Root and Linux only.
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{Output, TempDir, run};
use super::control_plane::{Binaries, script};

/// A cluster with one node on which pods really run; taken down when dropped.
#[derive(Debug)]
pub struct Node {
    dir: TempDir,
}

/// An image to be made from files of this machine.
#[derive(Debug)]
pub struct Image {
    /// `repository:tag`, as the pod names it.
    pub reference: String,
    /// Program and leading arguments.
    pub entrypoint: Vec<String>,
    /// Source and destination; a source `@TARGET` is a symbolic link.
    pub files: Vec<(String, String)>,
}

impl Image {
    /// A binary of this machine with the dynamic libraries that `ldd` names, run as entry point.
    pub fn of_binary(reference: &str, binary: &Path, destination: &str) -> Self {
        let mut files = vec![(binary.display().to_string(), destination.to_owned())];
        let listed = run(Command::new("ldd").arg(binary), "");
        // a static binary makes ldd fail: then there is nothing to add
        for library in listed.stdout.split_whitespace().filter(|word| word.starts_with('/')) {
            files.push((library.to_owned(), library.to_owned()));
        }
        Self { reference: reference.to_owned(), entrypoint: vec![destination.to_owned()], files }
    }

    /// busybox with a shell and wget.
    pub fn busybox(reference: &str) -> Self {
        let mut files = vec![("/bin/busybox".to_owned(), "/bin/busybox".to_owned())];
        for applet in ["sh", "sleep", "wget"] {
            files.push(("@busybox".to_owned(), format!("/bin/{applet}")));
        }
        Self { reference: reference.to_owned(), entrypoint: vec!["/bin/sh".to_owned()], files }
    }

    fn write(&self, tar: &Path) {
        let entrypoint = serde_json::to_string(&self.entrypoint).unwrap();
        let pairs =
            self.files.iter().map(|(source, destination)| format!("{source}={destination}"));
        let mut make = Command::new("python3");
        make.arg(script("node/mkimage.py")).arg(tar).args([&self.reference, &entrypoint]);
        run(make.args(pairs), "").expect_success();
    }
}

impl Node {
    /// Why this machine cannot have a node, after installing what is missing; `None` when it can.
    pub fn obstacle() -> Option<String> {
        if !cfg!(target_os = "linux") {
            return Some("a node needs Linux".to_owned());
        }
        if run(Command::new("id").arg("-u"), "").stdout.trim() != "0" {
            return Some("a node needs root".to_owned());
        }
        let installed = run(&mut Command::new(script("node/install.sh")), "");
        if !installed.success() {
            return Some(format!("packages cannot be installed: {}", installed.stderr.trim()));
        }
        let name = format!("sluice-probe-{}", std::process::id());
        let added = run(Command::new("ip").args(["netns", "add", &name]), "");
        if !added.success() {
            return Some(format!("no network namespaces here: {}", added.stderr.trim()));
        }
        run(Command::new("ip").args(["netns", "del", &name]), "");
        None
    }

    /// Starts the cluster and its node with these images.
    ///
    /// # Panics
    /// With the output of what failed.
    pub fn up(images: &[Image]) -> Self {
        Binaries::build(&["node"]);
        let node = Self { dir: TempDir::new("node") };
        let folder = node.dir.path().join("images");
        std::fs::create_dir_all(&folder).unwrap();
        for (number, image) in images.iter().enumerate() {
            image.write(&folder.join(format!("{number}.tar")));
        }
        let mut up = Command::new(script("node/up.sh"));
        up.arg(node.dir.path()).env("OWNER_PID", std::process::id().to_string());
        run(&mut up, "").expect_success();
        node
    }

    /// Runs a command inside the node's network, as administrator of its cluster.
    pub fn run(&self, args: &[&str], stdin: &str) -> Output {
        run(Command::new(script("node/in.sh")).arg(self.dir.path()).args(args), stdin)
    }

    /// Runs kubectl.
    pub fn kubectl(&self, args: &[&str], stdin: &str) -> Output {
        self.run(&[&["kubectl"], args].concat(), stdin)
    }

    /// Runs Helm.
    pub fn helm(&self, args: &[&str]) -> Output {
        self.run(&[&["helm"], args].concat(), "")
    }

    /// The folder with the logs of every component, in `log/`.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        run(Command::new(script("node/down.sh")).arg(self.dir.path()), "");
    }
}
