//! Colours and letters, for light and dark backgrounds.

/// What every plot looks like. The colours of series are those of Okabe and Ito (Color Universal Design, 2008), which people who do not
/// see all colours can tell apart, darkened or lightened for the background.
pub const STYLE: &str = "\
.plot{--ink:#1c232b;--soft:#5b6673;--rule:#dfe3e8;--axis:#9aa4b0;--heat:0,92,168;--ground:#fff;\
--s0:#0072b2;--s1:#d55e00;--s2:#008f68;--s3:#b0508f;--s4:#a37200;--s5:#3a8fc4;--s6:#8a3ffc;--s7:#5b6673}\
@media(prefers-color-scheme:dark){.plot{--ink:#e6eaef;--soft:#a3adb8;--rule:#2f3640;--axis:#6b7683;--heat:86,180,233;--ground:#14181d;\
--s0:#56b4e9;--s1:#ff9a4d;--s2:#3ccfa4;--s3:#e59ac8;--s4:#e6b422;--s5:#9fd3f2;--s6:#b58cff;--s7:#a3adb8}}\
.plot text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;font-size:11px;fill:var(--soft)}\
.plot .title{font-size:13px;font-weight:600;fill:var(--ink)}.plot .legend{font-size:11.5px;fill:var(--ink)}\
.plot .rule{stroke:var(--rule);stroke-width:1}.plot .axis{stroke:var(--axis);stroke-width:1}\
.plot .mark{stroke:var(--axis);stroke-width:1;stroke-dasharray:3 3}\
.plot .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.plot .dashed{stroke-dasharray:5 4}\
.plot .s0{stroke:var(--s0)}.plot .s1{stroke:var(--s1)}.plot .s2{stroke:var(--s2)}.plot .s3{stroke:var(--s3)}\
.plot .s4{stroke:var(--s4)}.plot .s5{stroke:var(--s5)}.plot .s6{stroke:var(--s6)}.plot .s7{stroke:var(--s7)}\
.plot .f0{fill:var(--s0)}.plot .f1{fill:var(--s1)}.plot .f2{fill:var(--s2)}.plot .f3{fill:var(--s3)}\
.plot .f4{fill:var(--s4)}.plot .f5{fill:var(--s5)}.plot .f6{fill:var(--s6)}.plot .f7{fill:var(--s7)}\
.plot .dots{fill-opacity:.45}.plot .strong{fill:var(--ground)}.plot .ink{fill:var(--ink)}.plot .ground{fill:var(--ground)}\
.plot .pixels{image-rendering:pixelated}";

/// Colours of series.
pub(super) const COLORS: usize = 8;
