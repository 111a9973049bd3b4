"""Names that stand for one another: places and their codes, currencies, languages, units, short forms.

Each line lists names of one thing, separated by "=". Small on purpose: what is commonly abbreviated.
"""

from functools import cache

from scribe_programs_calls.words import words

_STATES = """
al=alabama; ak=alaska; az=arizona; ar=arkansas; ca=california; co=colorado; ct=connecticut; de=delaware; fl=florida
ga=georgia; hi=hawaii; id=idaho; il=illinois; in=indiana; ia=iowa; ks=kansas; ky=kentucky; la=louisiana; me=maine
md=maryland; ma=massachusetts; mi=michigan; mn=minnesota; ms=mississippi; mo=missouri; mt=montana; ne=nebraska
nv=nevada; nh=new hampshire; nj=new jersey; nm=new mexico; ny=new york; nc=north carolina; nd=north dakota; oh=ohio
ok=oklahoma; or=oregon; pa=pennsylvania; ri=rhode island; sc=south carolina; sd=south dakota; tn=tennessee; tx=texas
ut=utah; vt=vermont; va=virginia; wa=washington; wv=west virginia; wi=wisconsin; wy=wyoming
dc=district of columbia; on=ontario; bc=british columbia; qc=quebec; ab=alberta; nsw=new south wales
"""
_COUNTRIES = """
us=usa=united states=united states of america=america=american
uk=gb=united kingdom=great britain=britain=british=england=english
de=germany=german=deutschland; fr=france=french; it=italy=italian; es=spain=spanish; pt=portugal=portuguese
nl=netherlands=dutch=holland; be=belgium=belgian; ch=switzerland=swiss; at=austria=austrian; ie=ireland=irish
dk=denmark=danish; se=sweden=swedish; no=norway=norwegian; fi=finland=finnish; pl=poland=polish; cz=czech
gr=greece=greek; tr=turkey=turkish; ru=russia=russian; ua=ukraine=ukrainian; hu=hungary=hungarian; ro=romania=romanian
cn=china=chinese; jp=japan=japanese; kr=korea=korean; in=india=indian; id=indonesia=indonesian; th=thailand=thai
vn=vietnam=vietnamese; sg=singapore; my=malaysia=malay; ph=philippines=filipino; au=australia=australian
nz=new zealand; ca=canada=canadian; mx=mexico=mexican; br=brazil=brazilian; ar=argentina=argentinian; cl=chile=chilean
pe=peru=peruvian; co=colombia=colombian; za=south africa; eg=egypt=egyptian; ke=kenya=kenyan; ng=nigeria=nigerian
il=israel=israeli; sa=saudi arabia; ae=uae=united arab emirates; pk=pakistan=pakistani; bd=bangladesh
eu=europe=european=european union
"""
_CITIES = """
nyc=ny=new york=new york city=big apple; la=los angeles; sf=san francisco=frisco; dc=washington dc=washington
vegas=las vegas; philly=philadelphia; nola=new orleans; atl=atlanta; chi=chicago; sd=san diego; slc=salt lake city
lax=los angeles; jfk=new york; sfo=san francisco; ord=chicago; bengaluru=bangalore; mumbai=bombay; kolkata=calcutta
chennai=madras; beijing=peking; saigon=ho chi minh city; kyiv=kiev; hk=hong kong
"""
_MONEY = """
usd=dollar=us dollar=american dollar=buck; eur=euro; gbp=pound=british pound=pound sterling=sterling=quid
jpy=yen=japanese yen; cny=rmb=yuan=renminbi=chinese yuan; inr=rupee=indian rupee; krw=won; cad=canadian dollar
aud=australian dollar; chf=franc=swiss franc; btc=bitcoin; eth=ethereum=ether; rub=ruble=rouble; brl=real; mxn=peso
aapl=apple; googl=goog=google=alphabet; msft=microsoft; amzn=amazon; tsla=tesla; meta=facebook; nflx=netflix
"""
_LANGUAGES = """
en=english; es=spanish; fr=french; de=german; it=italian; pt=portuguese; ru=russian; zh=chinese=mandarin; ja=japanese
ko=korean; ar=arabic; hi=hindi; nl=dutch; sv=swedish; da=danish; pl=polish; tr=turkish; vi=vietnamese; th=thai
"""
_MEASURES = """
m=meter=metre; cm=centimeter=centimetre; mm=millimeter=millimetre; km=kilometer=kilometre; mi=mile; ft=foot=feet
in=inch; yd=yard; g=gram=gramme; kg=kilogram=kilo; mg=milligram; lb=pound; oz=ounce; l=liter=litre
ml=milliliter=millilitre; gal=gallon; s=sec=second; min=minute; h=hr=hour; c=celsius=centigrade=metric
f=fahrenheit=imperial; k=kelvin; j=joule; kj=kilojoule; w=watt; kw=kilowatt; v=volt; a=amp=ampere; n=newton; pa=pascal
kpa=kilopascal; atm=atmosphere; hz=hertz; khz=kilohertz; mhz=megahertz; ghz=gigahertz; mph=miles per hour
kmh=kph=kilometers per hour=km h; rad=radian; deg=degree; gb=gigabyte; mb=megabyte; tb=terabyte; mol=mole
percent=percentage=pct; metric=kilometer=meter; imperial=mile=foot
"""
_FORMS = """
ai=artificial intelligence; ml=machine learning; nlp=natural language processing; gdp=gross domestic product
tv=television; id=identifier; vr=virtual reality; avg=average; max=maximum=highest; min=minimum=lowest
asc=ascending=increasing; desc=descending=decreasing; temp=temperature; info=information; photo=picture=image
movie=film; auto=automobile=car; car=vehicle; purchase=buy; st=street; ave=avenue; blvd=boulevard; rd=road; dr=doctor
wifi=wireless; veggie=vegetarian; male=man=men; female=woman=women; child=children=kid; person=people; mouse=mice
life=lives; sci fi=science fiction; theater=theatre; color=colour; center=centre; gray=grey; defense=defence
license=licence; organize=organise; round trip=return; annual=yearly=year; daily=day; weekly=week; monthly=month
quarterly=quarter; hourly=hour
"""


@cache
def _groups() -> dict[str, frozenset[str]]:
    """For each name, as folded words between single spaces, all names of what it may stand for."""
    table: dict[str, set[str]] = {}
    for block in (_STATES, _COUNTRIES, _CITIES, _MONEY, _LANGUAGES, _MEASURES, _FORMS):
        for line in block.replace("\n", ";").split(";"):
            names = {" ".join(words(name)) for name in line.split("=")} - {""}
            for name in names:
                table.setdefault(name, set()).update(names)
    return {name: frozenset(names) for name, names in table.items()}


def others(name: str) -> frozenset[str]:
    """Names for what `name` (folded words between single spaces) stands for, also without a plural s."""
    table = _groups()
    return table.get(name) or (table.get(name[:-1]) if name.endswith("s") else None) or frozenset()
