//! Direct access of AIProviders: who, to what, and which budgets count it.

use std::{collections::BTreeMap, sync::Arc};

use crate::snapshot::{Access, Direct, DirectBudget, Endpoint, ObjectName};

use super::{Inputs, access, budget::CompiledBudget, provider::Providers};

/// Compiles the direct access of every provider that has it and that can be used.
pub(super) fn compile_all(
    inputs: &Inputs,
    providers: &Providers,
    budgets: &[CompiledBudget],
) -> BTreeMap<ObjectName, Arc<Direct>> {
    let specs = inputs.providers.iter().filter_map(|(name, object)| {
        Some((name, object.spec.as_ref().ok()?.direct_access.as_ref()?))
    });
    specs
        .filter_map(|(name, spec)| {
            let provider = providers.get(name)?;
            // The CRD refuses this; objects that are older than it come here.
            if provider.endpoint == Endpoint::Mock {
                return None;
            }
            let allow = access::allow(&spec.allow, &name.namespace, inputs);
            let counting = budgets.iter().filter_map(|compiled| compiled.direct(name));
            let direct = Direct {
                access: Access { anonymous: false, allow },
                paths: spec.paths.clone(),
                budgets: counting
                    .map(|(everywhere, budget)| DirectBudget { everywhere, budget })
                    .collect(),
                provider,
            };
            Some((name.clone(), Arc::new(direct)))
        })
        .collect()
}
