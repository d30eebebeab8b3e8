//! `docs/metrics.md`: made of the registries that `serve` fills.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Every room's series in one registry, as `serve` registers them.
fn registry() -> Registry {
    let mut registry = Registry::with_prefix("larder");
    // The page tells what there is, not which version made it.
    let _server = server::Metrics::register(&mut registry, "VERSION");
    let _wire = wire::Metrics::new(&mut registry);
    let _proxy = proxy::Metrics::new(&mut registry);
    let outbound = outbound::Metrics::default();
    outbound.register(&mut registry);
    outbound.announce(&"NAME".into());
    store::Metrics::default().register(&mut registry);
    db::Metrics::default().register(&mut registry);
    sumdb::Metrics::default().register(&mut registry);
    registry
}

/// The page.
///
/// # Errors
/// The registry cannot be written as text.
pub fn page() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, &registry())?;
    let mut page = String::from(
        "# Metrics\n\nMade of the registry by `UPDATE_DOCS=1 cargo test -p cli`; do not edit. `/metrics` is OpenMetrics text. \
         A counter's samples end in `_total`, a histogram's in\n`_bucket`, `_sum` and `_count`. No label holds a module path.\n\n\
         | name | type | meaning |\n|---|---|---|\n",
    );
    let mut rows: Vec<String> = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help).trim_end_matches('.');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            rows.push(format!("| `{name}` | {kind} | {help} |\n"));
        }
    }
    rows.sort();
    page.extend(rows);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_metrics_is_fresh() {
        crate::pages::assert_fresh("docs/metrics.md", &page().unwrap());
    }

    #[test]
    fn every_series_says_what_it_means() {
        for row in page().unwrap().lines().filter(|line| line.starts_with("| `")) {
            assert!(!row.ends_with("|  |"), "{row}");
        }
    }
}
