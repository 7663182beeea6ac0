//! Members of sorted sets that lie in an area: GEOSEARCH and GEOSEARCHSTORE, and GEORADIUS in its older forms.

use super::error::{CommandError, SYNTAX};
use super::geo::{position, reply_distance, reply_position, unit};
use super::set::store;
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::geo::Position;
use crate::data::geo::shape::{Outline, Shape};
use crate::data::value::Value;
use crate::data::zset::Zset;
use crate::resp::number::{parse_f64, parse_i64};
use crate::resp::{Argv, ReplyBuf};

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("geosearch", -7, Group::Geo, geosearch)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("6.2.0", "Returns the members of a sorted set in a circle, box or polygon."),
    Command::new("geosearchstore", -8, Group::Geo, geosearchstore)
        .flags(CHANGE)
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("6.2.0", "Stores the members of a sorted set in a circle, box or polygon under another key."),
    Command::new("georadius", -6, Group::Geo, georadius)
        .flags(CHANGE.union(Flags::MOVABLE_KEYS))
        .keys(Keys::DynamicFrom(1, georadius_keys))
        .uses(&[KeyUse::READS, KeyUse::OVERWRITES.union(KeyUse::VARIABLE)])
        .doc("3.2.0", "Returns or stores the members of a sorted set in a circle around a position."),
    Command::new("georadius_ro", -6, Group::Geo, georadius_ro)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("3.2.10", "Returns the members of a sorted set in a circle around a position."),
    Command::new("georadiusbymember", -5, Group::Geo, georadiusbymember)
        .flags(CHANGE.union(Flags::MOVABLE_KEYS))
        .keys(Keys::DynamicFrom(1, georadiusbymember_keys))
        .uses(&[KeyUse::READS, KeyUse::OVERWRITES.union(KeyUse::VARIABLE)])
        .doc("3.2.0", "Returns or stores the members of a sorted set in a circle around one of them."),
    Command::new("georadiusbymember_ro", -5, Group::Geo, georadiusbymember_ro)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("3.2.10", "Returns the members of a sorted set in a circle around one of them."),
];

fn georadius_keys(argv: Argv<'_>) -> Vec<usize> {
    keys_behind(argv, 6)
}

fn georadiusbymember_keys(argv: Argv<'_>) -> Vec<usize> {
    keys_behind(argv, 5)
}

/// The key, and the last one that is to be stored to.
fn keys_behind(argv: Argv<'_>, first_option: usize) -> Vec<usize> {
    let stores = |i: &usize| [&b"store"[..], b"storedist"].iter().any(|word| argv.get(*i).eq_ignore_ascii_case(word));
    let target = (first_option..argv.len().saturating_sub(1)).rev().find(stores);
    [1].into_iter().chain(target.map(|i| i + 1)).collect()
}

/// Where a search begins: what came of the arguments that tell it.
#[derive(Clone, Copy, Debug)]
enum Center {
    At(Position),
    /// Of a member of a key that is not there.
    OfNobody,
}

/// What a call asks for.
#[derive(Default)]
struct Search<'a> {
    center: Option<Center>,
    /// Of a circle or a box.
    outline: Option<Outline>,
    polygon: Option<Shape>,
    /// Metres of the unit that lengths are told in.
    metres: f64,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    target: Option<&'a [u8]>,
    store_distance: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    NearestFirst,
    FarthestFirst,
}

/// Which of the options a command knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
    /// GEORADIUS and GEORADIUSBYMEMBER.
    Radius,
    /// Their read-only variants.
    RadiusReadOnly,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }
}

/// The number in the argument at `i`, in the unit it is told in.
fn length(ctx: &Ctx<'_>, i: usize, not_numeric: &'static str) -> Result<f64, CommandError> {
    parse_f64(ctx.arg(i)).ok_or(CommandError::fixed(not_numeric))
}

impl<'a> Search<'a> {
    /// Reads a radius and its unit from index `i` on.
    fn circle(&mut self, ctx: &Ctx<'_>, i: usize) -> CommandResult {
        let radius = length(ctx, i, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(CommandError::fixed("ERR radius cannot be negative"));
        }
        self.metres = unit(ctx, i + 1)?;
        self.outline = Some(Outline::Circle { radius: radius * self.metres });
        Ok(())
    }

    /// Reads width, height and unit from index `i` on.
    fn rectangle(&mut self, ctx: &Ctx<'_>, i: usize) -> CommandResult {
        let width = length(ctx, i, "ERR need numeric width")?;
        let height = length(ctx, i + 1, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::fixed("ERR height or width cannot be negative"));
        }
        self.metres = unit(ctx, i + 2)?;
        self.outline = Some(Outline::Box { width: width * self.metres, height: height * self.metres });
        Ok(())
    }

    /// Reads a number of corners and the corners from index `i` on; returns the index behind them.
    fn polygon(&mut self, ctx: &Ctx<'_>, i: usize) -> Result<usize, CommandError> {
        const TOO_FEW: CommandError = CommandError::fixed("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
        let number = parse_i64(ctx.arg(i)).and_then(|number| i32::try_from(number).ok());
        let number = number.ok_or(CommandError::fixed("ERR invalid number of vertices"))?;
        let end = usize::try_from(number).ok().filter(|n| *n >= 3).map(|n| i + 1 + 2 * n);
        let end = end.filter(|end| *end <= ctx.argc()).ok_or(TOO_FEW)?;
        let corners = (i + 1..end).step_by(2).map(|i| position(ctx, i)).collect::<Result<Vec<_>, _>>()?;
        self.metres = 1.0;
        self.polygon = Some(Shape::polygon(corners));
        Ok(end)
    }

    /// Reads the member at index `i` that is the centre.
    fn member(&mut self, ctx: &mut Ctx<'_>, key: &[u8], i: usize) -> CommandResult {
        let member = ctx.arg(i);
        let Some(zset) = ctx.db().get_zset(key)? else {
            self.center = Some(Center::OfNobody);
            return Ok(());
        };
        let score = zset
            .score(member)
            .ok_or_else(|| CommandError::bytes([b"ERR member ", member, b" does not exist"].concat()))?;
        self.center = Some(Center::At(Position::of_score(score)));
        Ok(())
    }

    /// Reads the options from index `i` on.
    fn options(&mut self, ctx: &mut Ctx<'a>, key: &[u8], mut i: usize, form: Form) -> CommandResult {
        while i < ctx.argc() {
            let behind = ctx.argc() - i - 1;
            let free = self.center.is_none() && self.polygon.is_none();
            let shapeless = self.polygon.is_none();
            let word = ctx.arg(i).to_ascii_lowercase();
            i += match word.as_slice() {
                b"withdist" => flag(&mut self.with_distance),
                b"withhash" => flag(&mut self.with_hash),
                b"withcoord" => flag(&mut self.with_position),
                b"any" => flag(&mut self.any),
                b"asc" | b"desc" => {
                    self.order = Some(if word == b"asc" { Order::NearestFirst } else { Order::FarthestFirst });
                    1
                }
                b"count" if behind >= 1 => {
                    let count = usize::try_from(ctx.int(i + 1)?).ok().filter(|count| *count > 0);
                    self.count = Some(count.ok_or(CommandError::fixed("ERR COUNT must be > 0"))?);
                    2
                }
                b"store" | b"storedist" if form == Form::Radius && behind >= 1 => {
                    (self.target, self.store_distance) = (Some(ctx.arg(i + 1)), word == b"storedist");
                    2
                }
                b"storedist" if form == Form::SearchStore => flag(&mut self.store_distance),
                b"frommember" if form.is_search() && behind >= 1 && free => {
                    self.member(ctx, key, i + 1)?;
                    2
                }
                b"fromlonlat" if form.is_search() && behind >= 2 && free => {
                    self.center = Some(Center::At(position(ctx, i + 1)?));
                    3
                }
                b"byradius" if form.is_search() && behind >= 2 && shapeless && !self.is_box() => {
                    self.circle(ctx, i + 1)?;
                    3
                }
                b"bybox" if form.is_search() && behind >= 3 && shapeless && !self.is_circle() => {
                    self.rectangle(ctx, i + 1)?;
                    4
                }
                b"bypolygon" if form.is_search() && behind >= 1 && self.center.is_none() && self.outline.is_none() => {
                    self.polygon(ctx, i + 1)? - i
                }
                _ => return Err(SYNTAX),
            };
        }
        Ok(())
    }

    fn is_circle(&self) -> bool {
        matches!(self.outline, Some(Outline::Circle { .. }))
    }

    fn is_box(&self) -> bool {
        matches!(self.outline, Some(Outline::Box { .. }))
    }

    /// Refuses what does not go together, and what is missing.
    fn check(&self, ctx: &Ctx<'_>, form: Form) -> CommandResult {
        if self.target.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let who = if form == Form::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(CommandError::text(format!(
                "ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let exactly_one = |of: &str| {
            let text = format!("ERR exactly one of {of} can be specified for ");
            Err(CommandError::bytes([text.as_bytes(), ctx.arg(0)].concat()))
        };
        if self.polygon.is_none() && self.center.is_none() {
            return exactly_one("FROMMEMBER or FROMLONLAT");
        }
        if self.polygon.is_none() && self.outline.is_none() && form.is_search() {
            return exactly_one("BYRADIUS, BYBOX and BYPOLYGON");
        }
        if self.any && self.count.is_none() {
            return Err(CommandError::fixed("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The area, if it is one: it is none around a member of nobody.
    fn shape(&mut self) -> Option<Shape> {
        if let Some(polygon) = self.polygon.take() {
            return Some(polygon);
        }
        match (self.center, self.outline.take()) {
            (Some(Center::At(center)), Some(outline)) => Some(Shape { center, outline }),
            _ => None,
        }
    }

    /// Finds the members, in the order and number that are asked for.
    fn find<'z>(&self, zset: &'z Zset, shape: &Shape) -> Vec<Found<'z>> {
        let enough = self.count.filter(|_| self.any).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        'search: for cell in shape.cells() {
            for (member, score) in zset.range(zset.score_ranks(&cell.scores())) {
                let at = Position::of_score(score);
                if let Some(distance) = shape.distance_within(at) {
                    found.push(Found { member, score, at, distance });
                }
                if found.len() >= enough {
                    break 'search;
                }
            }
        }
        // Those that are counted are the nearest.
        let order = self.order.or((self.count.is_some() && !self.any).then_some(Order::NearestFirst));
        if let Some(order) = order {
            found.sort_by(|a, b| match order {
                Order::NearestFirst => a.distance.total_cmp(&b.distance),
                Order::FarthestFirst => b.distance.total_cmp(&a.distance),
            });
        }
        found.truncate(self.count.unwrap_or(usize::MAX));
        found
    }

    fn reply(&self, reply: &mut ReplyBuf, found: &[Found<'_>]) {
        let extras = [self.with_distance, self.with_hash, self.with_position].into_iter().filter(|with| *with).count();
        reply.array(found.len());
        for one in found {
            if extras > 0 {
                reply.array(1 + extras);
            }
            reply.elem(one.member);
            if self.with_distance {
                reply_distance(reply, one.distance / self.metres);
            }
            if self.with_hash {
                reply.int(one.score as i64);
            }
            if self.with_position {
                reply_position(reply, one.at);
            }
        }
    }
}

/// A member in the area.
struct Found<'a> {
    member: Elem<'a>,
    score: f64,
    at: Position,
    /// From the centre, in metres.
    distance: f64,
}

/// Sets an option that stands by itself; returns how many arguments it is.
fn flag(option: &mut bool) -> usize {
    *option = true;
    1
}

fn geosearch(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    ctx.db().read_zset(key)?;
    let mut search = Search::default();
    search.options(ctx, key, 2, Form::Search)?;
    run(ctx, search, Form::Search)
}

fn geosearchstore(ctx: &mut Ctx<'_>) -> CommandResult {
    let (target, key) = (ctx.arg(1), ctx.arg(2));
    ctx.db().read_zset(key)?;
    let mut search = Search { target: Some(target), ..Search::default() };
    search.options(ctx, key, 3, Form::SearchStore)?;
    run(ctx, search, Form::SearchStore)
}

fn georadius(ctx: &mut Ctx<'_>) -> CommandResult {
    around_position(ctx, Form::Radius)
}

fn georadius_ro(ctx: &mut Ctx<'_>) -> CommandResult {
    around_position(ctx, Form::RadiusReadOnly)
}

fn georadiusbymember(ctx: &mut Ctx<'_>) -> CommandResult {
    around_member(ctx, Form::Radius)
}

fn georadiusbymember_ro(ctx: &mut Ctx<'_>) -> CommandResult {
    around_member(ctx, Form::RadiusReadOnly)
}

fn around_position(ctx: &mut Ctx<'_>, form: Form) -> CommandResult {
    let key = ctx.arg(1);
    ctx.db().read_zset(key)?;
    let mut search = Search { center: Some(Center::At(position(ctx, 2)?)), ..Search::default() };
    search.circle(ctx, 4)?;
    search.options(ctx, key, 6, form)?;
    run(ctx, search, form)
}

fn around_member(ctx: &mut Ctx<'_>, form: Form) -> CommandResult {
    let key = ctx.arg(1);
    let mut search = Search::default();
    ctx.db().read_zset(key)?;
    search.member(ctx, key, 2)?;
    if matches!(search.center, Some(Center::At(_))) {
        search.circle(ctx, 3)?;
    }
    search.options(ctx, key, 5, form)?;
    run(ctx, search, form)
}

fn run(ctx: &mut Ctx<'_>, mut search: Search<'_>, form: Form) -> CommandResult {
    search.check(ctx, form)?;
    let key = ctx.arg(if form == Form::SearchStore { 2 } else { 1 });
    let shape = search.shape();
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let found = match (db.get_zset(key)?, shape) {
        (Some(zset), Some(shape)) => search.find(zset, &shape),
        _ => Vec::new(),
    };
    let Some(target) = search.target else {
        search.reply(reply, &found);
        return Ok(());
    };
    let longest = found.iter().map(|one| one.member.len()).max().unwrap_or(0);
    let mut result = Zset::for_members(found.len(), longest, &limits);
    for one in &found {
        let score = if search.store_distance { one.distance / search.metres } else { one.score };
        one.member.with_text(|member| result.insert(member, score, &limits));
    }
    let n = found.len();
    reply.int(n as i64);
    let event = if form == Form::SearchStore { "geosearchstore" } else { "georadiusstore" };
    store(db, target, (n > 0).then_some(Value::Zset(result)), NotifyEvents::ZSET, event);
    db.add_dirty(n.saturating_sub(1) as u64);
    Ok(())
}
