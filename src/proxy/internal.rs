//! Takes the addresses of the owner's network out of a provider's words. Decides nothing about what is
//! said at all.

use std::net::{IpAddr, Ipv6Addr};

/// Stands for an address, with the URL that it is in.
const ADDRESS: &str = "[address]";

/// The longest IPv6 address in characters, and one more.
const MAX_V6: usize = 46;

/// The text without internal addresses, should it quote one; `None` if it quotes none.
pub fn without_addresses(text: &str) -> Option<String> {
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while let Some((start, end)) = next_host(text, at) {
        at = end;
        if !text.get(start..end).is_some_and(is_internal) {
            continue;
        }
        out.push_str(text.get(kept..start_of_url(text, kept, start)).unwrap_or_default());
        out.push_str(ADDRESS);
        at = end_of_url(text, end);
        kept = at;
    }
    (kept > 0).then(|| out + text.get(kept..).unwrap_or_default())
}

/// Where the next run lies that may be a host: a name, an IPv4 address, or an IPv6 address, with its
/// brackets if it has them.
fn next_host(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let start = from + rest.find(|c: char| c.is_ascii_alphanumeric() || c == '[' || c == ':')?;
    let rest = text.get(start..)?;
    let is_v6 = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
    if rest.starts_with('[') {
        let inside = rest.get(1..)?;
        let close = inside.find(|c| !is_v6(c)).unwrap_or(inside.len());
        let is_closed = inside.get(close..)?.starts_with(']');
        return Some((start, start + if is_closed { close + 2 } else { 1 }));
    }
    let length = rest.chars().take(MAX_V6).take_while(|c| is_v6(*c)).count();
    let v6 = rest.get(..length)?.trim_end_matches('.');
    if v6.parse::<Ipv6Addr>().is_ok() {
        return Some((start, start + v6.len()));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name = rest.get(..rest.find(|c| !is_name(c)).unwrap_or(rest.len()))?;
    Some((start, start + name.trim_end_matches(['.', '-']).len().max(1)))
}

/// Whether a host is in the owner's network: loopback, private (RFC 1918, RFC 4193), link-local, or a
/// name of a cluster.
fn is_internal(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        // "::" is also a separator in many a name.
        Ok(IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
        }
        Err(_) => {
            let name = bare.to_ascii_lowercase();
            let ends = |suffix: &str| name.len() > suffix.len() && name.ends_with(suffix);
            name == "localhost" || ends(".localhost") || ends(".svc") || ends(".cluster.local")
        }
    }
}

/// Where the URL begins whose host is at `host`; `host` if it is in none.
fn start_of_url(text: &str, from: usize, host: usize) -> usize {
    let before = text.get(from..host).unwrap_or_default();
    let delimiter = before.char_indices().rfind(|(_, c)| is_delimiter(*c));
    let word = delimiter.map_or(0, |(at, c)| at + c.len_utf8());
    let word_text = before.get(word..).unwrap_or_default();
    let Some(slashes) = word_text.find("://") else { return host };
    // Between the scheme and the host may be a user, but no path.
    if word_text.get(slashes + 3..).is_none_or(|user| user.contains('/')) {
        return host;
    }
    let scheme = word_text.get(..slashes).unwrap_or_default();
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = scheme.rfind(|c| !is_scheme(c)).map_or(0, |at| at + 1);
    from + word + scheme
}

/// Where the port, path and query after a host end.
fn end_of_url(text: &str, host: usize) -> usize {
    let rest = text.get(host..).unwrap_or_default();
    let port = rest.strip_prefix(':').map_or(0, |rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 { 0 } else { digits + 1 }
    });
    let rest = rest.get(port..).unwrap_or_default();
    let path = match rest.starts_with(['/', '?', '#']) {
        true => rest.get(..rest.find(is_delimiter).unwrap_or(rest.len())).unwrap_or_default(),
        false => "",
    };
    host + port + path.trim_end_matches(['.', ':', '!', '?']).len()
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || !c.is_ascii() || "\"'`<>(){}[],;|\\".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_taken_out_with_their_urls() {
        for (text, masked) in [
            (
                "bad thing at http://10.0.0.8:9000/internal?x=1 and more",
                "bad thing at [address] and more",
            ),
            ("dial tcp 172.16.3.4:443: refused", "dial tcp [address]: refused"),
            ("(http://127.0.0.1:1/).", "([address])."),
            ("see https://user:pw@vllm.models.svc.cluster.local/v1.", "see [address]."),
            ("vllm.models.svc:8000 and LOCALHOST", "[address] and [address]"),
            ("[fe80::1]:80, ::1 and http://[fd00::2]/x", "[address], [address] and [address]"),
            (
                r#"{"at":"http://192.168.1.1/a","b":169.254.169.254}"#,
                r#"{"at":"[address]","b":[address]}"#,
            ),
            ("host:10.1.2.3,ü10.1.2.3", "host:[address],ü[address]"),
        ] {
            assert_eq!(without_addresses(text).as_deref(), Some(masked), "{text}");
        }
    }

    #[test]
    fn what_is_no_internal_address_stays() {
        for text in [
            "see https://platform.openai.com/docs/10.0.0.1.html?to=x",
            "8.8.8.8:53 at 12:30:45, version 10.0.1 or 1.2.3.4.5",
            "use std::fmt or a::b, [1] and [::",
            "the svc of cluster.local.example.com and my.svc.io, localhosts",
            "",
            "ü: [\u{fd}]::é",
        ] {
            assert_eq!(without_addresses(text), None, "{text}");
        }
    }
}
