//! A curve as a table for documents.

use std::fmt::Write;

use super::Point;

/// Markdown: a row a point, chances in percent. `share` heads the first column.
pub fn table(share: &str, points: &[Point]) -> String {
    let with_preview = points.iter().any(|point| point.declined > 0);
    let mut text = format!("| {share} | paid, measured |");
    if with_preview {
        text.push_str(" declined, measured |");
    }
    text.push_str(" paid, computed | bound |\n| ---: | ---: | ---: | ---: |");
    text.push_str(if with_preview { " ---: |\n" } else { "\n" });
    for point in points {
        let of_runs = |count| percent(f64::from(count) / f64::from(point.runs.max(1)));
        let declined = match with_preview {
            true => format!(" {} |", of_runs(point.declined)),
            false => String::new(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} |{declined} {} | {} |",
            percent(point.share),
            of_runs(point.paid),
            percent(point.exact),
            percent(point.bound),
        );
    }
    text
}

/// Two digits after the point; smaller ones as a power of ten, the smallest not at all; exact ends without digits.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if share == 0.0 || share == 1.0 {
        format!("{percent} %")
    } else if percent < 1e-9 {
        "< 1e-9 %".into()
    } else if percent < 0.01 {
        format!("{percent:.0e} %")
    } else {
        format!("{percent:.2} %")
    }
}
