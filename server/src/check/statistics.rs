//! What `valkey-check-rdb --stats` counts: keys and elements, by database and type.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::histogram::Histogram;
use crate::data::elem::Elem;
use crate::data::num::DoubleText;
use crate::data::value::ValueRef;

/// Databases up to this one are printed even if they are empty; a damaged file may name any.
const LAST_PRINTED_EMPTY: u64 = 1023;

/// How they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A line for each number, a column for each type.
    Table,
    /// The same, with commas between.
    Csv,
    /// A line for each number of each type.
    Info,
}

/// The columns.
const TYPES: [&str; 7] = ["string", "list", "set", "zset", "hash", "module", "stream"];

fn column(value: Option<ValueRef<'_>>) -> usize {
    match value {
        Some(ValueRef::Str(_)) => 0,
        Some(ValueRef::List(_)) => 1,
        Some(ValueRef::Set(_)) => 2,
        Some(ValueRef::Zset(_)) => 3,
        Some(ValueRef::Hash(_)) => 4,
        None => 5,
        Some(ValueRef::Stream(_)) => 6,
    }
}

/// The keys of one type in one database.
#[derive(Clone, Debug, Default)]
struct Counts {
    keys: u64,
    expires: u64,
    already_expired: u64,
    key_bytes: u64,
    elements: u64,
    element_bytes: u64,
    most_elements: u64,
    largest_element: u64,
    numbers: Histogram,
    sizes: Histogram,
}

impl Counts {
    fn value(&mut self, value: ValueRef<'_>) {
        let len = |element: Elem<'_>| element.len() as u64;
        let elements = match value {
            ValueRef::Str(text) => {
                self.element(len(text));
                1
            }
            ValueRef::List(list) => {
                list.iter().for_each(|item| self.element(len(item)));
                list.len() as u64
            }
            ValueRef::Set(set) => {
                set.iter().for_each(|member| self.element(len(member)));
                set.len() as u64
            }
            ValueRef::Zset(zset) => {
                let size = |member, score| len(member) + DoubleText::new(score).as_bytes().len() as u64;
                zset.iter().for_each(|(member, score)| self.element(size(member, score)));
                zset.len() as u64
            }
            ValueRef::Hash(hash) => {
                hash.iter().for_each(|field| self.element(len(field.name) + len(field.value)));
                hash.len() as u64
            }
            ValueRef::Stream(stream) => {
                let fields = stream.log().iter().flat_map(|entry| entry.fields);
                fields.for_each(|(name, value)| self.element(len(name) + len(value)));
                stream.log().len()
            }
        };
        self.elements(elements);
    }

    fn element(&mut self, bytes: u64) {
        self.element_bytes += bytes;
        self.largest_element = self.largest_element.max(bytes);
        self.sizes.record(bytes);
    }

    fn elements(&mut self, count: u64) {
        self.elements += count;
        self.most_elements = self.most_elements.max(count);
        self.numbers.record(count);
    }

    /// The lines, in their order.
    fn rows(&self) -> [(&'static str, String); 17] {
        let average = |sum: u64, count: u64| if count > 0 { sum as f32 / count as f32 } else { 0.0 };
        let shown = |value: f32| format!("{:.2}", f64::from(value));
        let percentile = |histogram: &Histogram, percent| shown(histogram.percentile(percent) as f32);
        [
            ("keys.total", self.keys.to_string()),
            ("expire_keys.total", self.expires.to_string()),
            ("already_expired.total", self.already_expired.to_string()),
            ("keys.size", self.key_bytes.to_string()),
            ("keys.value_size", self.element_bytes.to_string()),
            ("elements.total", self.elements.to_string()),
            ("elements.size", self.element_bytes.to_string()),
            ("elements.num.max", self.most_elements.to_string()),
            ("elements.num.avg", shown(average(self.elements, self.keys))),
            ("elements.num.p99", percentile(&self.numbers, 99.0)),
            ("elements.num.p90", percentile(&self.numbers, 90.0)),
            ("elements.num.p50", percentile(&self.numbers, 50.0)),
            ("elements.size.max", self.largest_element.to_string()),
            ("elements.size.avg", shown(average(self.element_bytes, self.elements))),
            ("elements.size.p99", percentile(&self.sizes, 99.0)),
            ("elements.size.p90", percentile(&self.sizes, 90.0)),
            ("elements.size.p50", percentile(&self.sizes, 50.0)),
        ]
    }
}

/// All counts of a file.
#[derive(Debug, Default)]
pub struct Statistics {
    databases: BTreeMap<u64, [Counts; TYPES.len()]>,
    last: u64,
}

impl Statistics {
    /// A database begins.
    pub fn select(&mut self, db: u64) {
        self.last = self.last.max(db);
    }

    /// A key of a database; without value if that is a module's. `expired`: whether it has an expiry, and that is past.
    pub fn key(&mut self, db: u64, name: &[u8], value: Option<ValueRef<'_>>, expired: Option<bool>) {
        let counts = &mut self.databases.entry(db).or_default()[column(value)];
        counts.keys += 1;
        counts.key_bytes += name.len() as u64;
        counts.expires += u64::from(expired.is_some());
        counts.already_expired += u64::from(expired == Some(true));
        match value {
            Some(value) => counts.value(value),
            None => counts.elements(1),
        }
    }

    /// Prints them.
    ///
    /// # Errors
    /// Those of writing.
    pub fn print(&self, out: &mut dyn Write, layout: Layout) -> io::Result<()> {
        let empty = Default::default();
        let beyond = self.databases.range(LAST_PRINTED_EMPTY + 1..).map(|(db, counts)| (*db, counts));
        let dbs = (0..=self.last.min(LAST_PRINTED_EMPTY)).map(|db| (db, self.databases.get(&db).unwrap_or(&empty)));
        for (db, counts) in dbs.chain(beyond) {
            let columns = counts.each_ref().map(Counts::rows);
            if layout != Layout::Info {
                line(out, layout, db, "type.name", TYPES.iter().copied())?;
            }
            for (i, (name, _)) in columns[0].iter().enumerate() {
                let cells = columns.iter().map(|rows| rows[i].1.as_str());
                if layout == Layout::Info {
                    for (cell, kind) in cells.zip(TYPES) {
                        writeln!(out, "[info] db.{db}.type.{kind}.{name}:{cell}")?;
                    }
                } else {
                    line(out, layout, db, name, cells)?;
                }
            }
        }
        Ok(())
    }
}

fn line<'a>(
    out: &mut dyn Write,
    layout: Layout,
    db: u64,
    name: &str,
    mut cells: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    let head = format!("db.{db}.{name}");
    if layout == Layout::Csv {
        write!(out, "{head}")?;
        cells.try_for_each(|cell| write!(out, ",{cell}"))?;
    } else {
        write!(out, "{head:<30}")?;
        cells.try_for_each(|cell| write!(out, "\t{cell:<5}"))?;
    }
    writeln!(out)
}
