# Reference values for the statistics of memwatch, from their definitions:
#
#	python3 trend.py > trend.json
#
# Mann and Kendall's S and its variance with ties; the factor of Hamed and Rao
# (1998) over the ranks of the detrended values, lags significant at 5 %; Theil
# and Sen's slope with Sen's interval. Quantiles are those of Python's
# statistics.NormalDist. Nothing is shared with the Go code.
import json, math, random, itertools
from statistics import NormalDist, median
def mk(x):
    n=len(x); S=sum((b>a)-(b<a) for a,b in itertools.combinations(x,2))
    var=n*(n-1)*(2*n+5)
    for v in set(x):
        t=x.count(v); var-=t*(t-1)*(2*t+5)
    return S,var/18
def slopes(t,x): return sorted((x[j]-x[i])/(t[j]-t[i]) for i in range(len(x)) for j in range(i+1,len(x)))
def rank(x): return [sum(y<v for y in x)+ (x.count(v)+1)/2 for v in x]
def acf(r):
    n=len(r); m=sum(r)/n; d=[v-m for v in r]; c0=sum(v*v for v in d)
    return [sum(d[i]*d[i+k] for i in range(n-k))/c0 for k in range(n)]
def hamed_rao(t,x):
    n=len(x); b=median(slopes(t,x)); r=acf(rank([v-b*u for u,v in zip(t,x)]))
    lim=NormalDist().inv_cdf(.975)/math.sqrt(n)
    return 1+2/(n*(n-1)*(n-2))*sum((n-k)*(n-k-1)*(n-k-2)*r[k] for k in range(1,n) if abs(r[k])>lim), r[1], lim
def case(name,t,x):
    S,var=mk(x); hr,r1,lim=hamed_rao(t,x); n=len(x)
    f=max(1,hr)
    ar=1.0
    if r1>lim:
        p=min(r1+(1+3*r1)/n,.99); ar=(1+p)/(1-p)
    f=max(f,ar); v=var*f
    z=0 if S==0 else (S-math.copysign(1,S))/math.sqrt(v)
    sl=slopes(t,x); N=len(sl); c=NormalDist().inv_cdf(.975)*math.sqrt(v)
    lo=sl[max(round((N-c)/2)-1,0)]; hi=sl[min(round((N+c)/2),N-1)]
    return dict(name=name,t=t,x=x,s=S,variance=var,hamed_rao=hr,factor=f,z=z,p=1-NormalDist().cdf(z),slope=median(sl),lo=lo,hi=hi)
random.seed(20261127); out=[]
t=list(range(0,300,10))
out.append(case("line with white noise",t,[round(100+.2*u+random.gauss(0,5),3) for u in t]))
e=0; x=[]
for u in t: e=.95*e+random.gauss(0,3); x.append(round(100+e,3))
out.append(case("flat with autocorrelation",t,x))
out.append(case("many ties",t,[5+(u//70)%3 for u in t]))
tt=sorted(random.sample(range(1,2000),25))
out.append(case("uneven times, falling",tt,[round(500-.1*u+random.gauss(0,20),3) for u in tt]))
out.append(case("alternating",t,[10+(i%2)*4+round(random.random(),3) for i,u in enumerate(t)]))
out.append(case("slow wave on a line",t,[round(100+.5*u+40*math.sin(u/35),3) for u in t]))
print(json.dumps(out,indent=1))
