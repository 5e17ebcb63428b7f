//! What the terminal shows: a live view when it is one, otherwise a line a second.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Sparkline};
use ratatui::{DefaultTerminal, Frame};

use super::alert::AlertState;
use super::status::{Sample, Shared, Status};

/// Whether standard output is a terminal that a live view can be drawn on.
pub(crate) fn is_live() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// Draws until the person quits or the demo ends; returns with the terminal as it was.
pub(crate) fn live(
    shared: &Arc<Shared>,
    address: &str,
    quit: &dyn Fn(),
    over: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let result = watch(&mut terminal, shared, address, quit, over);
    ratatui::restore();
    result
}

fn watch(
    terminal: &mut DefaultTerminal,
    shared: &Arc<Shared>,
    address: &str,
    quit: &dyn Fn(),
    over: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    while !over() {
        let status = shared.status();
        terminal.draw(|frame| draw(frame, &status, address))?;
        if !event::poll(Duration::from_millis(250))? {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue;
        };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Char('d') => shared.switch_store(),
            KeyCode::Char('q') | KeyCode::Esc => quit(),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => quit(),
            _ => {}
        }
    }
    Ok(())
}

fn draw(frame: &mut Frame<'_>, status: &Status, address: &str) {
    let (one, four, rest) = (Constraint::Length(1), Constraint::Length(4), Constraint::Fill(1));
    let rows = [one, one, four, rest, rest, rest, one];
    let [title, _, figures, flow, lag, fresh, keys] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(heading(status, address), title);
    draw_figures(frame, figures, status);
    let samples = &status.samples;
    let series = |value: fn(&Sample) -> u64| samples.iter().map(value).collect::<Vec<_>>();
    let newest = samples.back().copied().unwrap_or_default();
    let stored = format!(" points stored  {}/s ", whole(newest.stored_per_second));
    chart(frame, flow, &stored, &series(|sample| whole(sample.stored_per_second)), Color::Green);
    let behind = format!(" lag  {} records ", grouped(status.lag));
    chart(frame, lag, &behind, &series(|sample| sample.lag), Color::Yellow);
    let age = format!(" freshness  {} behind now ", age(newest.freshness_ms));
    chart(frame, fresh, &age, &series(|s| s.freshness_ms.unwrap_or(0).unsigned_abs()), Color::Blue);
    let word = if status.store.up { " take the store down   " } else { " bring the store up   " };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let help = [
        Span::styled(" d", bold),
        Span::raw(word),
        Span::styled("q", bold),
        Span::raw(" finish and sum up"),
    ];
    frame.render_widget(Line::from_iter(help).dim(), keys);
}

fn heading<'a>(status: &Status, address: &'a str) -> Line<'a> {
    let store = if status.store.up { " UP ".black().on_green() } else { " DOWN ".white().on_red() };
    let alert = match status.alert.state {
        AlertState::Normal => " normal ".black().on_green(),
        AlertState::Pending => " pending ".black().on_yellow(),
        AlertState::Firing => " FIRING ".white().on_red(),
    };
    Line::from_iter([
        " Tidegate demo ".bold(),
        Span::raw("  store "),
        store,
        Span::raw("  alert "),
        alert,
        Span::raw("  page "),
        address.cyan().underlined(),
    ])
}

fn draw_figures(frame: &mut Frame<'_>, area: Rect, status: &Status) {
    let newest = status.samples.back().copied().unwrap_or_default();
    let on_the_way = status.sent.saturating_sub(status.stored + status.dead_lettered);
    let connector = &status.connector;
    let waiting = if status.waiting { "   waiting: the store is too far behind" } else { "" };
    let value = status.alert.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} °C"));
    let problem = status
        .alert
        .problem
        .map_or_else(String::new, |problem| format!("   state kept: {problem}"));
    let lines = [
        format!(
            " messages   {:>10} sent   {:>6}/s{waiting}",
            grouped(status.sent),
            whole(newest.sent_per_second)
        ),
        format!(
            " points     {:>10} stored, each once   {} dead-lettered   {} on the way   {} written again",
            grouped(status.stored),
            status.dead_lettered,
            grouped(on_the_way),
            grouped(status.store.rewritten)
        ),
        format!(
            " connector  {}   {} batches ({} KiB) in flight   {} attempts repeated",
            connector.state,
            connector.batches_in_flight,
            connector.bytes_in_flight / 1024,
            connector.retries
        ),
        format!(" alert      fired {}×, hottest now {value}{problem}", status.alert.fired_times),
    ];
    frame.render_widget(Paragraph::new(lines.map(Line::from).to_vec()), area);
}

/// The newest values that fit, newest at the right.
fn chart(frame: &mut Frame<'_>, area: Rect, title: &str, values: &[u64], color: Color) {
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().dim())
        .title(title);
    let width = usize::from(block.inner(area).width);
    let newest = &values[values.len().saturating_sub(width)..];
    frame.render_widget(
        Sparkline::default().block(block).data(newest).style(Style::new().fg(color)),
        area,
    );
}

/// Prints a line a second until the demo ends.
pub(crate) async fn lines(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        // Nobody listening any more (a closed pipe) is no reason to stop.
        let _ = writeln!(std::io::stdout(), "{}", line(&shared.status()));
    }
}

fn line(status: &Status) -> String {
    let newest = status.samples.back().copied().unwrap_or_default();
    let store = if status.store.up { "up" } else { "DOWN" };
    let alert = match status.alert.state {
        AlertState::Normal => "normal",
        AlertState::Pending => "pending",
        AlertState::Firing => "FIRING",
    };
    let waiting = if status.waiting { "  (waiting for the store)" } else { "" };
    format!(
        "{:>4} s  sent {:>8} ({:>5}/s)  stored {:>8} ({:>5}/s)  dead-lettered {:>3}  lag {:>6}  freshness {:>7}  store {store:<4}  alert {alert}{waiting}",
        status.running_ms / 1000,
        status.sent,
        whole(newest.sent_per_second),
        status.stored,
        whole(newest.stored_per_second),
        status.dead_lettered,
        status.lag,
        age(newest.freshness_ms),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate, small and not negative"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

fn age(millis: Option<i64>) -> String {
    match millis {
        None => "–".to_owned(),
        Some(millis) if millis < 1000 => format!("{millis} ms"),
        Some(millis) => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([None, Some(250), Some(4250)].map(age), ["–", "250 ms", "4.2 s"]);
    }
}
