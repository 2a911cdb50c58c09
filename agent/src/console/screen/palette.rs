//! The few styles of the screen. Without colour, only weight and inversion are left.

use ratatui::style::{Color, Modifier, Style};

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    colour: bool,
}

impl Palette {
    /// With or without colour.
    pub(super) fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn style(self, colour: Color, plain: Modifier) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new().add_modifier(plain) }
    }

    /// Healthy, done, live.
    pub(super) fn good(self) -> Style {
        self.style(Color::Green, Modifier::empty())
    }

    /// Failed, stopped, gone.
    pub(super) fn bad(self) -> Style {
        self.style(Color::LightRed, Modifier::BOLD)
    }

    /// Under way.
    pub(super) fn busy(self) -> Style {
        self.style(Color::Yellow, Modifier::empty())
    }

    /// Names that the eye looks for.
    pub(super) fn accent(self) -> Style {
        self.style(Color::Cyan, Modifier::BOLD)
    }

    /// What is there when looked for.
    pub(super) fn dim(self) -> Style {
        self.style(Color::DarkGray, Modifier::DIM)
    }

    /// Titles.
    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The chosen line.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What must be seen.
    pub(super) fn alarm(self) -> Style {
        let style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
        if self.colour { style.fg(Color::LightRed) } else { style }
    }
}
