//! The mode as a word three rows high, in half blocks.

use ratatui::style::Style;
use ratatui::text::Line;

/// Rows the word takes.
pub const ROWS: u16 = 3;

/// Five rows of pixels a letter, top first.
const LETTERS: [(char, [&str; 5]); 16] = [
    ('A', [" ## ", "#  #", "####", "#  #", "#  #"]),
    ('B', ["### ", "#  #", "### ", "#  #", "### "]),
    ('C', [" ###", "#   ", "#   ", "#   ", " ###"]),
    ('D', ["### ", "#  #", "#  #", "#  #", "### "]),
    ('E', ["####", "#   ", "### ", "#   ", "####"]),
    ('I', ["###", " # ", " # ", " # ", "###"]),
    ('K', ["#  #", "# # ", "##  ", "# # ", "#  #"]),
    ('L', ["#   ", "#   ", "#   ", "#   ", "####"]),
    ('M', ["#   #", "## ##", "# # #", "#   #", "#   #"]),
    ('O', [" ## ", "#  #", "#  #", "#  #", " ## "]),
    ('P', ["### ", "#  #", "### ", "#   ", "#   "]),
    ('R', ["### ", "#  #", "### ", "# # ", "#  #"]),
    ('S', [" ###", "#   ", " ## ", "   #", "### "]),
    ('T', ["#####", "  #  ", "  #  ", "  #  ", "  #  "]),
    ('V', ["#   #", "#   #", " # # ", " # # ", "  #  "]),
    (' ', ["  ", "  ", "  ", "  ", "  "]),
];

/// `ROWS` lines; letters that have no drawing are left out.
#[must_use]
pub fn lines(word: &str, style: Style) -> Vec<Line<'static>> {
    let letters: Vec<&[&str; 5]> = word.chars().filter_map(|c| LETTERS.iter().find(|l| l.0 == c)).map(|l| &l.1).collect();
    let pixel_row = |row: usize| {
        letters.iter().map(|l| l.get(row).map_or_else(|| " ".repeat(l[0].len()), |r| (*r).to_owned())).collect::<Vec<_>>().join(" ")
    };
    (0..usize::from(ROWS))
        .map(|row| {
            let (top, bottom) = (pixel_row(row * 2), pixel_row(row * 2 + 1));
            let glyphs: String = top
                .chars()
                .zip(bottom.chars())
                .map(|pair| match pair {
                    ('#', '#') => '\u{2588}',
                    ('#', _) => '\u{2580}',
                    (_, '#') => '\u{2584}',
                    _ => ' ',
                })
                .collect();
            Line::styled(glyphs, style)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Mode;

    #[test]
    fn every_mode_has_all_its_letters() {
        for mode in [Mode::Demo, Mode::Paper, Mode::Live, Mode::Backtest] {
            let word = mode.to_string().to_uppercase();
            assert!(word.chars().all(|c| LETTERS.iter().any(|l| l.0 == c)), "{word}");
        }
        let drawn: Vec<String> = lines("LI", Style::new()).iter().map(ToString::to_string).collect();
        assert_eq!(drawn, ["█    ▀█▀", "█     █ ", "▀▀▀▀ ▀▀▀"]);
    }
}
