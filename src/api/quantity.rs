//! Decimal strings: money and prices are never floats, so that nothing is lost on the way.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Amount of a limit: up to 12 digits before the point and 9 after it (USD to the nano-dollar).
pub(crate) fn amount_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,9})?$",
        "maxLength": 22,
        "description": "How much, as a decimal string: US dollars for unit USD (up to nine decimals), \
                        a whole number for Tokens and Requests."
    })
}

/// Price in USD for a million tokens: up to 6 digits before the point and 6 after it.
pub(crate) fn price_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^(0|[1-9][0-9]{0,5})(\\.[0-9]{1,6})?$",
        "maxLength": 13,
        "description": "US dollars for a million tokens, as a decimal string, for example \"2.50\"."
    })
}

/// Price in USD for one image or request: up to 6 digits before the point and 12 after it.
pub(crate) fn unit_price_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^(0|[1-9][0-9]{0,5})(\\.[0-9]{1,12})?$",
        "maxLength": 19,
        "description": "US dollars for each, as a decimal string, for example \"0.04\"."
    })
}
