//! One replica writes; another takes over.

use std::time::{Duration, Instant};

use crate::replica::{Namespace, SOON};

const PROVIDER: &str = "
apiVersion: sluice.dev/v1alpha1
kind: AIProvider
metadata: {name: mock}
spec: {type: Mock}
";

#[test]
fn a_follower_serves_without_writing_and_takes_over_what_is_given_back() {
    let space = Namespace::new("release");
    let leader = space.replica("first");
    leader.await_leadership(SOON);
    let follower = space.replica("second");
    space.apply(PROVIDER);
    space.await_condition("aiprovider/mock", ["Ready", "True", "Ready"]);
    follower.await_snapshot(|snapshot| snapshot.providers.len() == 1);
    assert!(!follower.leads());
    assert_eq!(follower.metrics.status_writes.with_label_values(&["written"]).get(), 0);
    let start = Instant::now();
    leader.stop();
    follower.await_leadership(Duration::from_secs(10));
    println!("take-over after a release: {:?}", start.elapsed());
    space.kubectl(
        &[
            "patch",
            "aiprovider",
            "mock",
            "--type=merge",
            "-p",
            r#"{"spec":{"models":[{"name":"a"}]}}"#,
        ],
        "",
    );
    let written = || match space.get("aiprovider/mock")["status"]["models"] == 1 {
        true => Ok(()),
        false => Err("not written".to_owned()),
    };
    crate::cluster::eventually(SOON, written);
    assert_eq!(space.get("lease/sluice")["spec"]["holderIdentity"], "second");
    follower.stop();
    assert_eq!(space.get("lease/sluice")["spec"]["holderIdentity"], "");
}

#[test]
fn a_killed_leader_is_replaced_when_its_lease_has_run_out() {
    let space = Namespace::new("killed");
    let leader = space.replica("first");
    leader.await_leadership(SOON);
    let follower = space.replica("second");
    follower.await_snapshot(|_| true);
    leader.kill();
    let start = Instant::now();
    follower.await_leadership(Duration::from_secs(40));
    println!("take-over after a kill: {:?}", start.elapsed());
    assert_eq!(space.get("lease/sluice")["spec"]["leaseTransitions"], 1);
    follower.stop();
}
