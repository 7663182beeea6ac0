//! HELP of a command with subcommands, made of their rows.

use super::table;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group};

/// The row of HELP, which each container has.
pub const fn row(group: Group, since: &'static str) -> Command {
    Command::new("help", 2, group, help)
        .flags(Flags::LOADING.union(Flags::STALE))
        .doc(since, "Lists the subcommands, with their arguments and what they do.")
}

fn help(ctx: &mut Ctx<'_>) -> CommandResult {
    let Some(container) = table::find(ctx.arg(0)) else { return Ok(()) };
    let rows = container.subcommands().map(|row| row.command).filter(|command| command.name != "help");
    let entries = rows.map(|command| (command.name, command.usage, command.summary));
    lines(ctx, container.command.name, entries);
    Ok(())
}

/// The refusal of a subcommand whose arguments are too many.
pub fn refusal(ctx: &Ctx<'_>) -> CommandError {
    let sub = String::from_utf8_lossy(ctx.arg(1));
    let container = ctx.row.full_name.split('|').next().unwrap_or_default().to_ascii_uppercase();
    CommandError::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP."
    ))
}

/// Answers with the lines of HELP: for each subcommand its name, its arguments and what it does.
pub fn lines<'a>(ctx: &mut Ctx<'_>, command: &str, entries: impl Iterator<Item = (&'a str, &'a str, &'a str)>) {
    let reply = ctx.reply();
    reply.deferred(crate::resp::ReplyBuf::array, |reply| {
        let head = command.to_ascii_uppercase();
        reply.simple(&format!("{head} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        let mut n = 1;
        let mut entry = |name: &str, usage: &str, summary: &str| {
            let name = name.to_ascii_uppercase();
            reply.simple(format!("{name} {usage}").trim_end());
            reply.simple(&format!("    {summary}"));
            n += 2;
        };
        for (name, usage, summary) in entries {
            entry(name, usage, summary);
        }
        entry("help", "", "Print this help.");
        n
    });
}
