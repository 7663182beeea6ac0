//! What is to be known of a command before its reply comes.

/// A command's words, with the first ones in lower case for comparing.
pub struct Command<'a> {
    /// All words.
    pub args: &'a [Vec<u8>],
    name: String,
}

impl<'a> Command<'a> {
    /// Looks at the words of a command.
    pub fn new(args: &'a [Vec<u8>]) -> Self {
        Self { args, name: lower(args.first()) }
    }

    /// The first word in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one of the commands that are answered by a message per channel.
    pub fn is_subscription(&self) -> bool {
        self.name.ends_with("subscribe")
    }

    /// Whether the reply is a report made for people to read.
    pub fn is_report(&self) -> bool {
        let sub = lower(self.args.get(1));
        match (self.name(), self.args.len()) {
            ("info" | "lolwut", _) => true,
            ("debug", _) => matches!(sub.as_str(), "htstats" | "htstats-key" | "client-eviction"),
            ("memory", _) => matches!(sub.as_str(), "malloc-stats" | "doctor"),
            ("cluster", 2) => matches!(sub.as_str(), "nodes" | "info"),
            ("client", _) => matches!(sub.as_str(), "list" | "info"),
            ("latency", 3) => sub == "graph",
            ("latency", 2) => sub == "doctor",
            _ => false,
        }
    }
}

fn lower(arg: Option<&Vec<u8>>) -> String {
    arg.map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_that_are_reports_are_known() {
        let is_report = |line: &str| {
            let words: Vec<Vec<u8>> = line.split(' ').map(Into::into).collect();
            Command::new(&words).is_report()
        };
        for line in
            ["INFO", "info memory", "client LIST", "cluster nodes", "latency graph x", "lolwut", "memory doctor"]
        {
            assert!(is_report(line), "{line}");
        }
        for line in ["get info", "client id", "cluster nodes x", "latency history x", "memory usage k"] {
            assert!(!is_report(line), "{line}");
        }
    }
}
