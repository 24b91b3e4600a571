//! Events on ConfigMaps with prices: they have no status, so this is where a person finds their
//! mistakes beside the log.

use std::collections::BTreeMap;

use crate::{
    compile::PriceNotes,
    controller::event::{Events, Notice},
    snapshot::ObjectName,
};

/// Reason of the Event.
const REASON: &str = "InvalidPrices";

/// What has been said of which ConfigMap.
#[derive(Default)]
pub(super) struct Told(BTreeMap<ObjectName, Vec<String>>);

impl Told {
    /// Sends an Event for every ConfigMap whose mistakes are new or have changed.
    pub(super) fn tell(&mut self, notes: &PriceNotes, recorder: &Events) {
        self.0.retain(|name, _| notes.contains_key(name));
        for (name, note) in notes {
            let messages: Vec<String> = note.messages().cloned().collect();
            if self.0.get(name) == Some(&messages) {
                continue;
            }
            recorder.send(Notice {
                api_version: "v1",
                kind: "ConfigMap",
                name: name.clone(),
                uid: note.uid.clone(),
                is_warning: true,
                reason: REASON.to_owned(),
                note: messages.join("; "),
            });
            self.0.insert(name.clone(), messages);
        }
    }
}
