//! Where an object is, as a URL that other services know (contract 7.2).

use crate::config;

/// The part of a location before the key: scheme, host and bucket, never credentials.
pub(super) fn base(config: &config::Store) -> String {
    let endpoint = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://s3.{}.amazonaws.com", config.region),
    };
    let (scheme, host) = match endpoint.split_once("://") {
        Some(("https", host)) => ("s3+https", host),
        Some((_, host)) => ("s3", host),
        None => ("s3", endpoint.as_str()),
    };
    format!(
        "{scheme}://{}/{}",
        host.trim_end_matches('/'),
        config.bucket
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn locations_name_host_and_bucket_and_no_credentials() {
        for (store, expected) in [
            (
                "bucket = \"b\"\nregion = \"eu-west-1\"",
                "s3+https://s3.eu-west-1.amazonaws.com/b",
            ),
            (
                "bucket = \"b\"\nendpoint = \"http://127.0.0.1:9000\"\naccess_key = \"AK\"\nsecret_key = \"SK\"",
                "s3://127.0.0.1:9000/b",
            ),
            (
                "bucket = \"b\"\nendpoint = \"https://rgw.example.org/s3/\"",
                "s3+https://rgw.example.org/s3/b",
            ),
        ] {
            let config = Config::from_parts(&format!("[store.main]\n{store}"), []).unwrap();
            assert_eq!(base(&config.store["main"]), expected);
        }
    }
}
