//! `--latency`, `--latency-history` and `--latency-dist`: the time from sending a PING to its answer.

use std::thread;
use std::time::{Duration, Instant};

use super::super::format::Output;
use super::super::session::Session;
use super::super::stop::{Stop, print};
use super::persistent_command;

/// Pause between samples.
const PAUSE: Duration = Duration::from_millis(10);

/// Samples of one interval, in milliseconds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Samples {
    min: u64,
    max: u64,
    total: u64,
    count: u64,
}

impl Samples {
    fn add(&mut self, millis: u64) {
        self.min = if self.count == 0 { millis } else { self.min.min(millis) };
        self.max = self.max.max(millis);
        self.total += millis;
        self.count += 1;
    }

    fn show(&self, output: Output) -> String {
        let Self { min, max, total, count } = self;
        let average = super::ratio(*total, *count);
        match output {
            Output::Standard => format!("min: {min}, max: {max}, avg: {average:.2} ({count} samples)"),
            Output::Csv => format!("{min},{max},{average:.2},{count}\n"),
            Output::Raw => format!("{min} {max} {average:.2} {count}\n"),
            Output::Json | Output::QuotedJson => {
                format!("{{\"min\": {min}, \"max\": {max}, \"avg\": {average:.2}, \"count\": {count}}}\n")
            }
        }
    }
}

fn sample(session: &mut Session) -> Result<Duration, Stop> {
    let start = Instant::now();
    persistent_command(session, &["PING"])?;
    Ok(start.elapsed())
}

/// Measures for ever; when the output is not for people and no `history` is wanted, for one interval (1 s unless `-i` says otherwise).
///
/// # Errors
/// When the server refuses.
pub fn run(session: &mut Session, history: bool) -> Result<(), Stop> {
    let output = session.format.output;
    let given = Some(session.options.interval).filter(|interval| !interval.is_zero());
    let interval = given.unwrap_or(Duration::from_secs(if history { 15 } else { 1 }));
    let mut samples = Samples::default();
    let mut start = Instant::now();
    loop {
        samples.add(sample(session)?.as_millis() as u64);
        let over = start.elapsed() > interval;
        if output == Output::Standard {
            print(format!("\x1b[0G\x1b[2K{}", samples.show(output)).as_bytes())?;
        } else if over {
            print(samples.show(output).as_bytes())?;
            if !history {
                return Ok(());
            }
        }
        if history && over {
            print(format!(" -- {:.2} seconds range\n", start.elapsed().as_secs_f64()).as_bytes())?;
            start = Instant::now();
            samples = Samples::default();
        }
        thread::sleep(PAUSE);
    }
}

/// Upper bounds in microseconds of the classes of the distribution, and the character each is drawn as. What is above all is `?`.
const CLASSES: [(u64, char); 30] = [
    (10, '.'),
    (125, '-'),
    (250, '*'),
    (500, '#'),
    (1_000, '1'),
    (2_000, '2'),
    (3_000, '3'),
    (4_000, '4'),
    (5_000, '5'),
    (6_000, '6'),
    (7_000, '7'),
    (8_000, '8'),
    (9_000, '9'),
    (10_000, 'A'),
    (20_000, 'B'),
    (30_000, 'C'),
    (40_000, 'D'),
    (50_000, 'E'),
    (100_000, 'F'),
    (200_000, 'G'),
    (300_000, 'H'),
    (400_000, 'I'),
    (500_000, 'J'),
    (1_000_000, 'K'),
    (2_000_000, 'L'),
    (4_000_000, 'M'),
    (8_000_000, 'N'),
    (16_000_000, 'O'),
    (30_000_000, 'P'),
    (60_000_000, 'Q'),
];

/// Colours from rare to frequent, of the 256 that terminals know.
const PALETTE: [u8; 19] = [0, 233, 234, 235, 237, 239, 241, 243, 245, 247, 144, 143, 142, 184, 226, 214, 208, 202, 196];

/// Lines between two legends.
const LEGEND_EVERY: u64 = 20;

/// Draws one line per interval, for ever.
///
/// # Errors
/// When the server refuses.
pub fn distribution(session: &mut Session) -> Result<(), Stop> {
    let interval = Some(session.options.interval).filter(|interval| !interval.is_zero());
    let interval = interval.unwrap_or(Duration::from_secs(1));
    for line in 0_u64.. {
        let mut counts = [0_u64; CLASSES.len() + 1];
        let start = Instant::now();
        while start.elapsed() <= interval {
            counts[class(sample(session)?)] += 1;
            thread::sleep(PAUSE);
        }
        if line.is_multiple_of(LEGEND_EVERY) {
            print(legend().as_bytes())?;
        }
        print(spectrum(&counts).as_bytes())?;
    }
    Ok(())
}

fn class(latency: Duration) -> usize {
    let micros = latency.as_micros() as u64;
    CLASSES.partition_point(|(bound, _)| *bound < micros)
}

fn spectrum(counts: &[u64]) -> String {
    let total: u64 = counts.iter().sum();
    let mut out = "\x1b[38;5;0m".to_owned();
    let characters = CLASSES.iter().map(|(_, character)| *character).chain(['?']);
    for (count, character) in counts.iter().zip(characters) {
        let color = (super::ratio(*count, total) * (PALETTE.len() - 1) as f64).ceil() as usize;
        out += &format!("\x1b[48;5;{}m{character}", PALETTE[color.min(PALETTE.len() - 1)]);
    }
    out + "\x1b[0m\n"
}

fn legend() -> String {
    let mut out = "---------------------------------------------\n\
                   . - * #          .01 .125 .25 .5 milliseconds\n\
                   1,2,3,...,9      from 1 to 9     milliseconds\n\
                   A,B,C,D,E        10,20,30,40,50  milliseconds\n\
                   F,G,H,I,J        .1,.2,.3,.4,.5       seconds\n\
                   K,L,M,N,O,P,Q,?  1,2,4,8,16,30,60,>60 seconds\n\
                   From 0 to 100%: "
        .to_owned();
    for color in PALETTE {
        out += &format!("\x1b[48;5;{color}m ");
    }
    out + "\x1b[0m\n---------------------------------------------\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_up_in_each_form_of_output() {
        let mut samples = Samples::default();
        for millis in [4, 1, 2] {
            samples.add(millis);
        }
        assert_eq!(samples.show(Output::Standard), "min: 1, max: 4, avg: 2.33 (3 samples)");
        assert_eq!(samples.show(Output::Raw), "1 4 2.33 3\n");
        assert_eq!(samples.show(Output::Csv), "1,4,2.33,3\n");
        assert_eq!(samples.show(Output::Json), "{\"min\": 1, \"max\": 4, \"avg\": 2.33, \"count\": 3}\n");
    }

    #[test]
    fn each_latency_has_its_character() {
        let character = |micros| CLASSES.get(class(Duration::from_micros(micros))).map_or('?', |(_, c)| *c);
        let table = [
            (0, '.'),
            (10, '.'),
            (11, '-'),
            (500, '#'),
            (1000, '1'),
            (1001, '2'),
            (60_000_000, 'Q'),
            (60_000_001, '?'),
        ];
        for (micros, want) in table {
            assert_eq!(character(micros), want, "{micros}");
        }
    }
}
