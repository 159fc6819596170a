//! The levels of units, and which stands below which. A unit may have none: an odd tree is not forced into a mould.

use crate::error::StationError;

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Province 省.
    Province,
    /// City 市.
    City,
    /// County or district 县、区.
    County,
    /// Township 乡镇.
    Township,
    /// Street office 街道.
    Street,
    /// Community or village 社区、村.
    Community,
    /// Grid 网格.
    Grid,
    /// Police station 派出所.
    PoliceStation,
    /// Department 部门.
    Department,
}

impl Level {
    /// All of them, from the top down.
    pub(crate) const ALL: [Self; 9] = [
        Self::Province,
        Self::City,
        Self::County,
        Self::Township,
        Self::Street,
        Self::Community,
        Self::Grid,
        Self::PoliceStation,
        Self::Department,
    ];

    /// The code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
            Self::Township => "township",
            Self::Street => "street",
            Self::Community => "community",
            Self::Grid => "grid",
            Self::PoliceStation => "police_station",
            Self::Department => "department",
        }
    }

    /// What it is called in Chinese.
    pub(crate) const fn chinese(self) -> &'static str {
        match self {
            Self::Province => "省",
            Self::City => "市",
            Self::County => "县区",
            Self::Township => "乡镇",
            Self::Street => "街道",
            Self::Community => "社区",
            Self::Grid => "网格",
            Self::PoliceStation => "派出所",
            Self::Department => "部门",
        }
    }

    /// The level of a code.
    ///
    /// # Errors
    /// When there is none; the text lists the codes.
    pub(crate) fn check(code: &str) -> Result<Self, StationError> {
        let found = Self::ALL.into_iter().find(|level| level.code() == code);
        found.ok_or_else(|| {
            let codes: Vec<&str> = Self::ALL.into_iter().map(Self::code).collect();
            StationError::Invalid(format!("{code:?} is no level of a unit: take one of {}", codes.join(", ")))
        })
    }

    /// Whether a unit of this level may stand below one of another. Levels may be left out on the way down.
    const fn stands_below(self, above: Self) -> bool {
        match (above, self) {
            // A station and a department hold what they have in charge; a grid holds nothing more.
            (Self::PoliceStation, Self::Community | Self::Grid | Self::Department)
            | (Self::Department, Self::Department | Self::PoliceStation) => true,
            (Self::PoliceStation | Self::Department | Self::Grid, _) => false,
            (Self::Community, Self::Department | Self::PoliceStation) => false,
            (_, Self::Department | Self::PoliceStation) => true,
            (_, _) => self.rank() > above.rank(),
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Province => 1,
            Self::City => 2,
            Self::County => 3,
            Self::Township | Self::Street => 4,
            Self::Community => 5,
            Self::Grid => 6,
            Self::PoliceStation | Self::Department => 7,
        }
    }
}

/// Whether a unit may stand below another, as far as both have a level.
///
/// # Errors
/// When it may not; the text says what was tried.
pub(crate) fn check_nesting(below: Option<&str>, above: Option<&str>) -> Result<(), StationError> {
    let (Some(below), Some(above)) = (below, above) else {
        return Ok(());
    };
    // A level of a later version judges nothing here.
    let (Ok(below), Ok(above)) = (Level::check(below), Level::check(above)) else {
        return Ok(());
    };
    if below.stands_below(above) {
        return Ok(());
    }
    Err(StationError::Invalid(format!(
        "a {} does not stand below a {}: put it elsewhere, or give it another level or none",
        below.code(),
        above.code()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_stand_below_what_they_belong_to() {
        for (below, above) in [
            ("city", "province"),
            ("grid", "community"),
            ("community", "street"),
            ("grid", "county"),
            ("police_station", "county"),
            ("community", "police_station"),
            ("department", "street"),
            ("department", "department"),
            ("hamlet", "grid"),
        ] {
            assert!(check_nesting(Some(below), Some(above)).is_ok(), "{below} below {above}");
        }
        for (below, above) in [
            ("province", "city"),
            ("community", "community"),
            ("street", "township"),
            ("grid", "grid"),
            ("community", "grid"),
            ("street", "police_station"),
            ("community", "department"),
            ("police_station", "community"),
        ] {
            let fault = check_nesting(Some(below), Some(above)).unwrap_err().to_string();
            assert!(fault.contains(below) && fault.contains(above), "{fault}");
        }
        assert!(check_nesting(None, Some("grid")).is_ok() && check_nesting(Some("city"), None).is_ok());
        assert!(Level::check("planet").unwrap_err().to_string().contains("police_station"));
    }
}
