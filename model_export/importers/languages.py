"""Names of languages: the ISO 639-1 code for each of three letters that has one."""

CODES = (
    "aar aa abk ab afr af aka ak amh am ara ar arb ar arg an asm as ava av ave ae aym ay aze az "
    "azj az bak ba bam bm bel be ben bn bih bh bis bi bod bo bos bs bre br bul bg cat ca ces cs "
    "cha ch che ce chu cu chv cv cmn zh cor kw cos co cre cr cym cy dan da deu de div dv dzo dz "
    "ell el eng en epo eo est et ekk et eus eu ewe ee fao fo fas fa pes fa fij fj fin fi fra fr "
    "fry fy ful ff gla gd gle ga glg gl glv gv grn gn guj gu hat ht hau ha hbs sh heb he her hz "
    "hin hi hmo ho hrv hr hun hu hye hy ibo ig ido io iii ii iku iu ile ie ina ia ind id ipk ik "
    "isl is ita it jav jv jpn ja kal kl kan kn kas ks kat ka kau kr kaz kk khm km kik ki kin rw "
    "kir ky kom kv kon kg kor ko kua kj kur ku kmr ku lao lo lat la lav lv lvs lv lim li lin ln "
    "lit lt ltz lb lub lu lug lg mah mh mal ml mar mr mkd mk mlg mg mlt mt mon mn mri mi msa ms "
    "zsm ms mya my nau na nav nv nbl nr nde nd ndo ng nep ne npi ne nld nl nno nn nob nb nor no "
    "nya ny oci oc oji oj ori or ory or orm om oss os pan pa pli pi pol pl por pt pus ps que qu "
    "roh rm ron ro run rn rus ru sag sg san sa sin si slk sk slv sl sme se smo sm sna sn snd sd "
    "som so sot st spa es sqi sq srd sc srp sr ssw ss sun su swa sw swh sw swe sv tah ty tam ta "
    "tat tt tel te tgk tg tgl tl tha th tir ti ton to tsn tn tso ts tuk tk tur tr twi tw uig ug "
    "ukr uk urd ur uzb uz uzn uz ven ve vie vi vol vo wln wa wol wo xho xh yid yi yor yo zha za "
    "zho zh zul zu"
)
SHORT = dict(zip(CODES.split()[::2], CODES.split()[1::2], strict=True))


def language_code(name: str) -> str | None:
    """`kor` or `ko` -> `ko`; a script or region that follows is left out; None for no language."""
    code = name.replace("-", "_").split("_")[0].lower()
    code = SHORT.get(code, code)
    return code if code.isascii() and code.isalpha() and 2 <= len(code) <= 3 else None


def tagged_languages(tags: list[str]) -> dict[str, str]:
    """Language -> tag. Of several tags for a language that which says least wins."""
    found: dict[str, str] = {}
    for tag in sorted(tags, key=lambda tag: (len(tag), tag)):
        code = language_code(tag)
        if code is not None:
            found.setdefault(code, tag)
    return found
