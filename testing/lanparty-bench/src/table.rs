//! The tables that a run prints, in Markdown.

use crate::figures::{RoundTrips, median};
use crate::load::Packets;

/// One direction of bulk TCP.
#[derive(Debug, Clone, Default)]
pub struct Bulk {
    /// Mbit/s of each run.
    pub megabits: Vec<f64>,
    /// CPU seconds per gigabyte of each program of the last run: remote, relay, gateway; empty for the kernel.
    pub cpu_per_gb: Vec<f64>,
}

/// What was measured of one rival; pairs are up (remote to LAN) and down.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The rival's name.
    pub label: &'static str,
    /// One TCP stream.
    pub tcp: [Bulk; 2],
    /// Four TCP streams, Mbit/s.
    pub tcp4: [f64; 2],
    /// 64-byte UDP packets under overload.
    pub udp: [Packets; 2],
    /// Round trips: idle, beside bulk up, beside bulk down.
    pub trips: [RoundTrips; 3],
    /// Resident memory of all programs, MiB.
    pub resident_mib: f64,
}

/// Returns the tables of all rows.
pub fn tables(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n| peer | TCP up | TCP down | 4xTCP up | 4xTCP down | UDP-64 delivered kpps up / down | CPU s/GB up / down | of it remote / relay / gateway (down) | RSS MiB |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        text.push_str(&load(row));
    }
    text.push_str(
        "\n| peer | idle p50 | p99 | p99.9 | lost | bulk up p50 | p99 | p99.9 | lost | bulk down p50 | p99 | p99.9 | lost |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let cells: Vec<String> = row.trips.iter().map(trips).collect();
        text.push_str(&line(row.label, &cells));
    }

    text
}

fn line(label: &str, cells: &[String]) -> String {
    format!("| {label} | {} |\n", cells.join(" | "))
}

fn load(row: &Row) -> String {
    let [up, down] = &row.tcp;
    let is_kernel = down.cpu_per_gb.is_empty();
    let kernel = || "kernel".to_owned();
    let cpu = if is_kernel {
        kernel()
    } else {
        let total = |bulk: &Bulk| bulk.cpu_per_gb.iter().sum::<f64>();
        format!("{:.1} / {:.1}", total(up), total(down))
    };
    let shares: Vec<String> = down
        .cpu_per_gb
        .iter()
        .map(|share| format!("{share:.1}"))
        .collect();
    let [udp_up, udp_down] = row.udp.map(|packets| packets.delivered / 1e3);

    format!(
        "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {udp_up:.1} / {udp_down:.1} | {cpu} | {} | {} |\n",
        row.label,
        median(up.megabits.clone()),
        median(down.megabits.clone()),
        row.tcp4[0],
        row.tcp4[1],
        if is_kernel {
            kernel()
        } else {
            shares.join(" / ")
        },
        if is_kernel {
            kernel()
        } else {
            format!("{:.1}", row.resident_mib)
        },
    )
}

fn trips(trips: &RoundTrips) -> String {
    let cell = |permille| {
        trips
            .quantile(permille)
            .map_or_else(|| "-".to_owned(), |time| format!("{time:.2}"))
    };

    format!(
        "{} | {} | {} | {:.1}%",
        cell(500),
        cell(990),
        cell(999),
        trips.lost_percent()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_table_has_its_columns() {
        let text = tables(&[Row::default(), Row::default()]);
        for part in text.trim().split("\n\n") {
            let counts: Vec<usize> = part.lines().map(|line| line.matches('|').count()).collect();

            assert!(counts.iter().all(|count| *count == counts[0]), "{part}");
            assert_eq!(counts.len(), 4);
        }
    }

    #[test]
    fn kernel_rows_say_so() {
        assert!(tables(&[Row::default()]).contains("| kernel | kernel | kernel |"));
    }
}
