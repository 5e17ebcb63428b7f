//! `tidegate top`: a running process's connectors in a terminal, as the status page shows them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState, Wrap};
use ratatui::{DefaultTerminal, Frame};
use reqwest::Method;
use serde_json::Value;

use super::FAILED;
use super::server::{Server, ServerArguments, path_of};

/// How often the process is asked.
const EVERY: Duration = Duration::from_secs(1);
/// What a chart shows.
const KEEP: usize = 240;

pub(super) fn run(arguments: &ServerArguments) -> ExitCode {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        eprintln!("this is no terminal; `tidegate status` prints the state once");
        return ExitCode::from(FAILED);
    }
    let watched = arguments.connect().and_then(|server| {
        let first = server.call(Method::GET, "/summary")?;
        let mut terminal = ratatui::try_init().map_err(|error| error.to_string())?;
        let mut view = View::default();
        view.take(Ok(first));
        let watched = watch(&mut terminal, &server, &mut view).map_err(|error| error.to_string());
        ratatui::restore();
        watched
    });
    match watched {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

/// What is seen.
#[derive(Debug, Default)]
struct View {
    connectors: Vec<Connector>,
    /// By name; those that are gone are forgotten.
    history: HashMap<String, History>,
    table: TableState,
    /// What was asked for, and is done when it is confirmed.
    asked: Option<Order>,
    /// What was said last, such as an error.
    said: String,
}

/// A connector's figures.
#[derive(Debug, Clone, Default)]
struct Connector {
    name: String,
    state: String,
    reason: String,
    sink: String,
    outage: bool,
    rejected: u64,
    retries: u64,
    lag: u64,
    freshness: Option<f64>,
    /// Processes by their names.
    replicas: BTreeMap<String, Replica>,
    last_reply: String,
    last_rejected: String,
}

/// A connector in one process.
#[derive(Debug, Clone, Default)]
struct Replica {
    state: String,
    tasks: u64,
    /// Records and points; none while it does not answer.
    counts: Option<[u64; 2]>,
}

#[derive(Debug, Default)]
struct History {
    last: Option<(Instant, BTreeMap<String, Replica>)>,
    records: VecDeque<u64>,
    points: VecDeque<u64>,
    lag: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Pause,
    Resume,
    Restart,
}

impl Order {
    fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Pause | Self::Resume => Method::PUT,
            Self::Restart => Method::POST,
        }
    }
}

impl Connector {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |key: &str| value[key].as_u64().unwrap_or_default();
        let rejected = &value["rejected"][0];
        let reply = &value["replies"][0];
        Self {
            name: text(&value["name"]),
            state: text(&value["state"]),
            reason: text(&value["reason"]),
            sink: text(&value["sink"]),
            outage: value["database_takes_nothing"] == true,
            rejected: number("records_rejected"),
            retries: number("retries"),
            lag: number("lag"),
            freshness: value["freshness_seconds"].as_f64(),
            replicas: value["replicas"].as_array().into_iter().flatten().map(Replica::of).collect(),
            last_reply: if reply.is_null() {
                "none yet".to_owned()
            } else {
                format!(
                    "{} {} times in a row, {} ms  {}",
                    text(&reply["result"]),
                    reply["times"],
                    reply["milliseconds"],
                    text(&reply["reason"])
                )
            },
            last_rejected: if rejected.is_null() {
                "none".to_owned()
            } else {
                format!(
                    "{}[{}] offset {}, {}: {}",
                    text(&rejected["topic"]),
                    rejected["partition"],
                    rejected["offset"],
                    text(&rejected["stage"]),
                    text(&rejected["reason"])
                )
            },
        }
    }
}

impl Replica {
    fn of(value: &Value) -> (String, Self) {
        let figures = &value["figures"];
        let counts = ["records_consumed", "points_written"].map(|key| figures[key].as_u64());
        let [records, points] = counts;
        let replica = Self {
            state: value["state"].as_str().unwrap_or_default().to_owned(),
            tasks: value["tasks"].as_u64().unwrap_or_default(),
            counts: records.zip(points).map(<[u64; 2]>::from),
        };
        (value["worker_id"].as_str().unwrap_or_default().to_owned(), replica)
    }
}

impl History {
    fn add(&mut self, now: Instant, connector: &Connector) {
        let rates = self.last.as_ref().map(|(at, before)| {
            let seconds = now.duration_since(*at).as_secs_f64();
            // A counter starts anew with its process, and one may not have answered.
            let growth = |of: usize| {
                let each = connector.replicas.iter().filter_map(|(worker, replica)| {
                    let before = before.get(worker)?.counts?;
                    Some(replica.counts?[of].saturating_sub(before[of]))
                });
                per_second(each.sum(), seconds)
            };
            [growth(0), growth(1)]
        });
        let [records, points] = rates.unwrap_or_default();
        self.last = Some((now, connector.replicas.clone()));
        for (series, value) in [
            (&mut self.records, records),
            (&mut self.points, points),
            (&mut self.lag, connector.lag),
        ] {
            series.push_back(value);
            if series.len() > KEEP {
                series.pop_front();
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate that is shown"
)]
fn per_second(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds.max(0.001)).round() as u64
}

impl View {
    fn take(&mut self, summary: Result<Value, String>) {
        let summary = match summary {
            Ok(summary) => summary,
            Err(error) => {
                self.said = error;
                return;
            }
        };
        let now = Instant::now();
        let connectors = summary["connectors"].as_array().into_iter().flatten();
        self.connectors = connectors.map(Connector::of).collect();
        for connector in &self.connectors {
            self.history.entry(connector.name.clone()).or_default().add(now, connector);
        }
        self.history.retain(|name, _| self.connectors.iter().any(|one| one.name == *name));
        let selected = self.table.selected().unwrap_or(0);
        let last = self.connectors.len().checked_sub(1);
        self.table.select(last.map(|last| selected.min(last)));
    }

    fn selected(&self) -> Option<&Connector> {
        self.connectors.get(self.table.selected()?)
    }
}

/// Draws until the person quits.
fn watch(terminal: &mut DefaultTerminal, server: &Server, view: &mut View) -> std::io::Result<()> {
    let mut next = Instant::now() + EVERY;
    loop {
        terminal.draw(|frame| draw(frame, view, server.address()))?;
        if event::poll(next.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && !pressed(key.code, key.modifiers, server, view)
            {
                return Ok(());
            }
            continue;
        }
        view.take(server.call(Method::GET, "/summary"));
        next = Instant::now() + EVERY;
    }
}

/// Whether to go on.
fn pressed(key: KeyCode, with: KeyModifiers, server: &Server, view: &mut View) -> bool {
    if key == KeyCode::Char('c') && with.contains(KeyModifiers::CONTROL) {
        return false;
    }
    if let Some(order) = view.asked.take() {
        view.said = String::new();
        if key == KeyCode::Char('y')
            && let Some(connector) = view.selected()
        {
            let done = server.call(order.method(), &path_of(&connector.name, order.word()));
            view.said =
                done.err().unwrap_or_else(|| format!("{}: {}", connector.name, order.word()));
        }
        return true;
    }
    match key {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Down | KeyCode::Char('j') => view.table.select_next(),
        KeyCode::Up | KeyCode::Char('k') => view.table.select_previous(),
        KeyCode::Char('p') => view.asked = Some(Order::Pause),
        KeyCode::Char('r') => view.asked = Some(Order::Resume),
        KeyCode::Char('s') => view.asked = Some(Order::Restart),
        _ => {}
    }
    if let (Some(order), Some(connector)) = (view.asked, view.selected()) {
        view.said = format!("{} {}? y: yes, any other key: no", order.word(), connector.name);
    }
    true
}

fn draw(frame: &mut Frame<'_>, view: &mut View, address: &str) {
    let rows = u16::try_from(view.connectors.len()).unwrap_or(u16::MAX).saturating_add(1);
    let [title, table, charts, details, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Max(rows),
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(
        Line::from_iter([
            " Tidegate ".bold(),
            " ".into(),
            address.cyan(),
            "  ".into(),
            view.said.as_str().yellow(),
        ]),
        title,
    );
    draw_table(frame, table, view);
    draw_charts(frame, charts, view);
    draw_details(frame, details, view);
    let help = " ↑↓ select   p pause   r resume   s restart   q quit";
    frame.render_widget(Line::from(help).dim(), keys);
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let head = ["NAME", "STATE", "RECORDS/s", "POINTS/s", "LAG", "NEWEST", "REJECTED", "RETRIES"];
    let newest = |name: &str, series: fn(&History) -> &VecDeque<u64>| {
        view.history.get(name).and_then(|history| series(history).back().copied()).unwrap_or(0)
    };
    let rows = view.connectors.iter().map(|connector| {
        let (state, color) = match (connector.state.as_str(), connector.outage) {
            ("running", true) => ("no writes".to_owned(), Color::Red),
            ("running", false) => ("running".to_owned(), Color::Green),
            ("failed", _) => ("FAILED".to_owned(), Color::Red),
            (other, _) => (other.to_owned(), Color::Yellow),
        };
        Row::new([
            Cell::from(connector.name.clone()),
            Cell::from(state).style(Style::new().fg(color)),
            Cell::from(newest(&connector.name, |h| &h.records).to_string()),
            Cell::from(newest(&connector.name, |h| &h.points).to_string()),
            Cell::from(connector.lag.to_string()),
            Cell::from(connector.freshness.map_or_else(|| "–".to_owned(), age)),
            Cell::from(connector.rejected.to_string()),
            Cell::from(connector.retries.to_string()),
        ])
    });
    let widths = [Constraint::Fill(1)].into_iter().chain([Constraint::Length(10); 7]);
    let table = Table::new(rows, widths)
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut view.table);
}

fn draw_charts(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let history = view.selected().and_then(|connector| view.history.get(&connector.name));
    let Some(history) = history else { return };
    let areas: [Rect; 3] = Layout::vertical([Constraint::Fill(1); 3]).areas(area);
    let charts = [
        ("records/s", &history.records, Color::Blue),
        ("points/s", &history.points, Color::Green),
        ("lag", &history.lag, Color::Yellow),
    ];
    for (area, (title, series, color)) in areas.into_iter().zip(charts) {
        let newest = series.back().copied().unwrap_or_default();
        let block = Block::bordered()
            .border_style(Style::new().dim())
            .title(format!(" {title}  {newest} "));
        let width = usize::from(block.inner(area).width);
        let shown: Vec<u64> =
            series.iter().skip(series.len().saturating_sub(width)).copied().collect();
        let chart = Sparkline::default().block(block).data(shown).style(Style::new().fg(color));
        frame.render_widget(chart, area);
    }
}

fn draw_details(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let Some(connector) = view.selected() else {
        frame.render_widget(Paragraph::new(" There is no connector."), area);
        return;
    };
    let mut lines = vec![Line::from(format!(" {}  → {}", connector.name, connector.sink)).bold()];
    if !connector.reason.is_empty() {
        lines.push(Line::from(format!(" {}", connector.reason)).red());
    }
    lines.push(Line::from(format!(" database  {}", connector.last_reply)));
    lines.push(Line::from(format!(" rejected  {}", connector.last_rejected)));
    if connector.replicas.len() > 1 {
        let replica = |(worker, replica): (&String, &Replica)| {
            format!("{worker} {} ({} tasks)", replica.state, replica.tasks)
        };
        let replicas: Vec<_> = connector.replicas.iter().map(replica).collect();
        lines.push(Line::from(format!(" replicas  {}", replicas.join(", "))));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

fn age(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn summary(points: u64, outage: bool) -> Value {
        json!({ "connectors": [{
            "name": "sensors", "state": "running", "sink": "influxdb http://localhost:8086",
            "database_takes_nothing": outage, "replicas": [
                { "worker_id": "a:1", "state": "running", "tasks": 2,
                  "figures": { "records_consumed": points, "points_written": points } },
                { "worker_id": "b:1", "state": "unassigned", "tasks": 1, "figures": null },
            ],
            "records_rejected": 1, "retries": 3, "lag": 42, "freshness_seconds": 1.5,
            "replies": [{ "result": "unavailable", "times": 3, "milliseconds": 7, "reason": "refused" }],
            "rejected": [{ "topic": "t", "partition": 0, "offset": 9, "stage": "map", "reason": "no v" }],
        }] })
    }

    fn screen(view: &mut View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(110, 24)).unwrap();
        terminal.draw(|frame| draw(frame, view, "127.0.0.1:8083")).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_connector_is_on_the_screen_with_its_figures_its_outage_and_why() {
        let mut view = View::default();
        view.take(Ok(summary(0, false)));
        std::thread::sleep(Duration::from_millis(20));
        view.take(Ok(summary(1000, true)));
        let screen = screen(&mut view);
        for text in [
            "sensors",
            "no writes",
            " 42 ",
            "1.5 s",
            "unavailable 3 times",
            "t[0] offset 9, map: no v",
            "a:1 running (2 tasks), b:1 unassigned (1 tasks)",
        ] {
            assert!(screen.contains(text), "{text}:\n{screen}");
        }
        assert!(*view.history["sensors"].points.back().unwrap() > 1000);
    }

    #[test]
    fn a_process_that_does_not_answer_leaves_the_last_figures_and_says_so() {
        let mut view = View::default();
        view.take(Ok(summary(5, false)));
        view.take(Err("no answer".into()));
        let screen = screen(&mut view);
        assert!(screen.contains("sensors") && screen.contains("no answer"), "{screen}");
        view.take(Ok(json!({ "connectors": [] })));
        assert!(view.selected().is_none() && view.history.is_empty());
    }
}
