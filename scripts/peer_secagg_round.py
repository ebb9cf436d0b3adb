"""One full SecAgg+ round of Flower in one process, no network: the real SecAggPlusWorkflow (server) against the real secaggplus_mod (clients),
through a Grid that calls the mod directly. For scripts/bench_masked_sum.py; prints one JSON document.

usage: peer_secagg_round.py N_CLIENTS NUM_SHARES THRESHOLD DIM DROPOUTS
"""
import sys, time, json, random, collections, numpy as np, logging, resource
import flwr
from flwr.app import Context, Message, RecordDict, ArrayRecord, ConfigRecord, Error
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays, FitRes, Status, Code
from flwr.compat.common import recorddict_compat as compat
from flwr.client.mod import secaggplus_mod
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server import LegacyContext, ServerConfig
from flwr.server.client_manager import SimpleClientManager
from flwr.server.strategy import FedAvg
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key as WKey
from flwr.common.serde import message_to_proto
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
logging.getLogger('flwr').setLevel(logging.WARNING)
from flwr.supercore.task_identity import TaskIdentity
TaskIdentity.run_id=1; TaskIdentity.node_id=1; TaskIdentity.task_id=1
N,S,T,D,DROP=[int(a) for a in sys.argv[1:6]]
rng=np.random.default_rng(0)
ids=[random.Random(i).getrandbits(62)+1 for i in range(N)]
upd={i:(rng.standard_normal(D)*0.1).astype(np.float32) for i in ids}
ex={i:int(rng.integers(50,500)) for i in ids}
dead=set(ids[:DROP])
up=collections.defaultdict(lambda: collections.Counter()); down=collections.defaultdict(lambda: collections.Counter())
ct=collections.defaultdict(lambda: collections.Counter()); wall=collections.Counter()
ctxs={i:Context(run_id=1,node_id=i,node_config={},state=RecordDict(),run_config={}) for i in ids}
def inner(msg,ctx):
    fr=FitRes(Status(Code.OK,''),ndarrays_to_parameters([upd[msg.metadata.dst_node_id]]),ex[msg.metadata.dst_node_id],{})
    return Message(compat.fitres_to_recorddict(fr,False),reply_to=msg)
class G:
    t_in=0.0
    def send_and_receive(self,messages,*,timeout=None):
        s0=time.perf_counter(); out=[]
        for m in messages:
            nid=m.metadata.dst_node_id
            m.metadata.__dict__['_src_node_id']=1
            st=m.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
            p=message_to_proto(m); down[nid][st]+=p.ByteSize()
            # own copy for each client, as over a network
            from flwr.common.serde import message_from_proto
            m2=message_from_proto(p); m2.metadata.__dict__['_dst_node_id']=nid
            if st==Stage.COLLECT_MASKED_VECTORS and nid in dead: continue
            s=time.perf_counter(); r=secaggplus_mod(m2,ctxs[nid],inner); ct[nid][st]+=time.perf_counter()-s
            r.metadata.__dict__['_src_node_id']=nid
            pr=message_to_proto(r); up[nid][st]+=pr.ByteSize()
            out.append(message_from_proto(pr)); wall[st]+=0
        self.t_in+=time.perf_counter()-s0
        return out
g=G()
cm=SimpleClientManager()
for i in ids: cm.register(GridClientProxy(i,g,1))
base=Context(run_id=1,node_id=0,node_config={},state=RecordDict(),run_config={})
lc=LegacyContext(context=base,config=ServerConfig(num_rounds=1),strategy=FedAvg(min_fit_clients=N,min_available_clients=N,fraction_fit=1.0,accept_failures=True),client_manager=cm)
init=ndarrays_to_parameters([np.zeros(D,np.float32)])
lc.state.array_records[MAIN_PARAMS_RECORD]=compat.parameters_to_arrayrecord(init,False)
lc.state.config_records[MAIN_CONFIGS_RECORD]=ConfigRecord({WKey.CURRENT_ROUND:1})
s=time.perf_counter(); SecAggPlusWorkflow(num_shares=S,reconstruction_threshold=T,max_weight=1000.0)(g,lc); tot=time.perf_counter()-s
got=compat.arrayrecord_to_parameters(lc.state.array_records[MAIN_PARAMS_RECORD],True); got=parameters_to_ndarrays(got)[0]
alive=[i for i in ids if i not in dead]; w=sum(ex[i] for i in alive)
want=sum(upd[i].astype(np.float64)*ex[i] for i in alive)/w
err=float(np.abs(got-want).max())
a=alive[0]; mean=lambda d: {k:float(np.mean([d[i][k] for i in alive])) for k in d[a]}
cm_=mean(ct)
print(json.dumps(dict(flwr=flwr.__version__,N=N,num_shares=S,threshold=T,dim=D,dropouts=DROP,
  total_s=round(tot,2),client_s_each=round(sum(cm_.values()),3),client_stage_s={k:round(v,3) for k,v in cm_.items()},
  server_s=round(tot-g.t_in,2),
  up_bytes=int(sum(mean(up).values())),up_by_stage={k:int(v) for k,v in mean(up).items()},
  down_bytes=int(sum(mean(down).values())),down_by_stage={k:int(v) for k,v in mean(down).items()},
  plain_f32_bytes=4*D,expansion_up=round(sum(mean(up).values())/(4*D),3),max_abs_err=err,
  ran=bool(np.any(got)),maxrss_MB=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)))
