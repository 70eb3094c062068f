"""How people write a date in eleven languages and eight scripts: names and formats, as plain tables.

Fields of a format: `y` year, `yy` its last two digits; `m` and `mm` month, `d` and `dd` day, doubled with two digits;
`day` the day, with a form of its own for the first; `nth` 22nd; `month` and `weekday` names, `mon` and `wd` short ones;
`han_y`, `han_m`, `han_d` in Chinese numerals.

A string must mean one date whoever wrote it. So a numeric format is taken only where it cannot be read in two ways:
dots, day first, unless a year of four digits comes first; slashes and hyphens only with the year in front. 03/04/2026
is in no table: April to most of the world, March to some.
"""

from __future__ import annotations

from dataclasses import dataclass

ASCII_DIGITS = "0123456789"


@dataclass(frozen=True)
class Language:
    formats: tuple[str, ...]
    months: str = ""  # twelve names, in the form they take inside a date
    short_months: str = ""
    weekdays: str = ""  # seven names, Monday first
    short_weekdays: str = ""
    first: str = "1"  # of a month, in the field `day`
    digits: tuple[str, ...] = (ASCII_DIGITS,)
    cased: bool = False  # whether people also write it all in capitals or all in small letters
    plain_capitals: bool = False  # capitals lose the acute accent


ENGLISH = Language(
    formats=(
        "{month} {d}, {y}",
        "{d} {month} {y}",
        "{month} {nth}, {y}",
        "the {nth} of {month} {y}",
        "{nth} of {month}, {y}",
        "{weekday}, {month} {d}, {y}",
        "{weekday} {d} {month} {y}",
        "{weekday}, the {nth} of {month}, {y}",
        "{wd}, {d} {mon} {y}",
        "{wd} {mon} {dd} {y}",
        "{mon} {d}, {y}",
        "{dd}-{mon}-{y}",
        "{dd}-{mon}-{yy}",
        "{d} {mon} '{yy}",
    ),
    months="January February March April May June July August September October November December",
    short_months="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    weekdays="Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    short_weekdays="Mon Tue Wed Thu Fri Sat Sun",
    cased=True,
)
GERMAN = Language(
    formats=(
        "{d}. {month} {y}",
        "{weekday}, {d}. {month} {y}",
        "{weekday}, den {d}. {month} {y}",
        "{wd}, {d}. {mon} {y}",
        "{d}. {mon} {y}",
        "{dd}.{mm}.{y}",
        "{d}.{m}.{y}",
        "{d}. {m}. {y}",
        "{dd}.{mm}.{yy}",
    ),
    months="Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    short_months="Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    weekdays="Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    short_weekdays="Mo Di Mi Do Fr Sa So",
    cased=True,
)
FRENCH = Language(
    formats=(
        "{day} {month} {y}",
        "le {day} {month} {y}",
        "{weekday} {day} {month} {y}",
        "le {weekday} {day} {month} {y}",
        "{wd} {day} {mon} {y}",
        "{day} {mon} {y}",
        "{dd}.{mm}.{y}",
    ),
    months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    short_months="janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    weekdays="lundi mardi mercredi jeudi vendredi samedi dimanche",
    short_weekdays="lun. mar. mer. jeu. ven. sam. dim.",
    first="1er",
    cased=True,
)
SPANISH = Language(
    formats=(
        "{d} de {month} de {y}",
        "{d} de {month} del {y}",
        "el {d} de {month} de {y}",
        "{weekday}, {d} de {month} de {y}",
        "{wd}, {d} {mon} {y}",
        "{d} {mon} {y}",
    ),
    months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    short_months="ene feb mar abr may jun jul ago sept oct nov dic",
    weekdays="lunes martes miércoles jueves viernes sábado domingo",
    short_weekdays="lun mar mié jue vie sáb dom",
    cased=True,
)
RUSSIAN = Language(
    formats=(
        "{d} {month} {y}",
        "{d} {month} {y} г.",
        "{d} {month} {y} года",
        "{weekday}, {d} {month} {y} г.",
        "{wd}, {d} {mon} {y}",
        "{dd}.{mm}.{y}",
        "{dd}.{mm}.{yy}",
    ),
    months="января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    short_months="янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек.",
    weekdays="понедельник вторник среда четверг пятница суббота воскресенье",
    short_weekdays="пн вт ср чт пт сб вс",
    cased=True,
)
GREEK = Language(
    formats=(
        "{d} {month} {y}",
        "{day} {month} {y}",
        "{weekday}, {d} {month} {y}",
        "{weekday} {day} {month} {y}",
        "{wd} {d} {mon} {y}",
        "{d}.{m}.{y}",
    ),
    months="Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου Ιουλίου Αυγούστου Σεπτεμβρίου Οκτωβρίου "
    "Νοεμβρίου Δεκεμβρίου",
    short_months="Ιαν Φεβ Μαρ Απρ Μαΐ Ιουν Ιουλ Αυγ Σεπ Οκτ Νοε Δεκ",
    weekdays="Δευτέρα Τρίτη Τετάρτη Πέμπτη Παρασκευή Σάββατο Κυριακή",
    short_weekdays="Δευ Τρί Τετ Πέμ Παρ Σάβ Κυρ",
    first="1η",
    cased=True,
    plain_capitals=True,
)
ARABIC = Language(
    formats=("{d} {month} {y}", "{d} {month}، {y}", "{weekday} {d} {month} {y}", "{weekday}، {d} {month} {y}"),
    months="يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    weekdays="الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد",
    digits=("٠١٢٣٤٥٦٧٨٩", ASCII_DIGITS),
)
HINDI = Language(
    formats=("{d} {month} {y}", "{d} {month}, {y}", "{weekday}, {d} {month} {y}", "{weekday} {d} {month} {y}"),
    months="जनवरी फरवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्तूबर नवंबर दिसंबर",
    weekdays="सोमवार मंगलवार बुधवार गुरुवार शुक्रवार शनिवार रविवार",
    digits=("०१२३४५६७८९", ASCII_DIGITS),
)
CHINESE = Language(
    formats=(
        "{y}年{m}月{d}日",
        "{y}年{mm}月{dd}日",
        "{y}年{m}月{d}日 {weekday}",
        "{y}年{m}月{d}日（{wd}）",
        "{y}-{mm}-{dd}",
        "{han_y}年{han_m}月{han_d}日",
        "{han_y}年{han_m}月{han_d}日{weekday}",
    ),
    weekdays="星期一 星期二 星期三 星期四 星期五 星期六 星期日",
    short_weekdays="周一 周二 周三 周四 周五 周六 周日",
)
JAPANESE = Language(
    formats=(
        "{y}年{m}月{d}日",
        "{y}年{m}月{d}日（{wd}）",
        "{y}年{m}月{d}日{weekday}",
        "{y}/{mm}/{dd}",
        "{y}/{m}/{d}",
    ),
    weekdays="月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日",
    short_weekdays="月 火 水 木 金 土 日",
    digits=(ASCII_DIGITS, "０１２３４５６７８９"),
)
KOREAN = Language(
    formats=(
        "{y}년 {m}월 {d}일",
        "{y}년 {m}월 {d}일 {weekday}",
        "{y}년 {m}월 {d}일 ({wd})",
        "{y}. {m}. {d}.",
        "{y}.{mm}.{dd}",
    ),
    weekdays="월요일 화요일 수요일 목요일 금요일 토요일 일요일",
    short_weekdays="월 화 수 목 금 토 일",
)

LANGUAGES = (ENGLISH, GERMAN, FRENCH, SPANISH, RUSSIAN, GREEK, ARABIC, HINDI, CHINESE, JAPANESE, KOREAN)
