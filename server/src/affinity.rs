//! Which processors a thread may use (`server-cpulist` and its like).

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::log_warning;

/// Keeps the calling thread, and those that it starts from now on, on these processors: `0,2-3,8-16:2` (every second). Empty: on all.
pub fn bind(list: &[u8]) {
    if list.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(list);
    let Some(processors) = parse(&text) else {
        log_warning!("\"{text}\" is no list of processors, such as 0,2-3 or 0-7:2; the thread may use all");
        return;
    };
    let mut set = CpuSet::new();
    processors.into_iter().for_each(|processor| set.set(processor));
    if let Err(e) = sched_setaffinity(None, &set) {
        log_warning!("The processors {text} cannot be used: {e}");
    }
}

fn parse(text: &str) -> Option<Vec<usize>> {
    let mut processors = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (range, every) = part.split_once(':').map_or((part, Some(1)), |(range, every)| (range, every.parse().ok()));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= CpuSet::MAX_CPU || first > last {
            return None;
        }
        processors.extend((first..=last).step_by(every.filter(|every| *every > 0)?));
    }
    (!processors.is_empty()).then_some(processors)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_list_names_processors_ranges_and_strides() {
        assert_eq!(parse("1,3-5"), Some(vec![1, 3, 4, 5]));
        assert_eq!(parse("0-6:2, 9"), Some(vec![0, 2, 4, 6, 9]));
        for wrong in ["", "a", "3-1", "0-99999", "1:0", "1:x", "-"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
