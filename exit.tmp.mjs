import { pathToFileURL } from 'node:url';
const base = process.argv[2];
const { GraphThread } = await import(base + '/matching/graph/graph-thread.js');
const kind = process.argv[3], wait = Number(process.argv[4]), how = process.argv[5];
const D = 256, N = 3000;
const rows = Int8Array.from({length: N*D}, () => Math.random()*200-100);
const t = new GraphThread((e) => console.error('failed', e?.message));
const end = () => { if (how==='exit') process.exit(0); if (how==='throw') setImmediate(() => { throw new Error('boom'); }); if (how==='stop') { t.stop().then(()=>process.exit(0)); } if (how==='term') process.kill(process.pid,'SIGTERM'); if (how==='exitCode') { setImmediate(()=>process.exit(0)); } };
const after = (p) => { p.catch(()=>{}); setTimeout(end, wait); };
if (kind === 'learn') { after(t.change({kind:'learn', rows: rows.slice(0,500*D), dimension:D, size:64})); }
else {
  const { directions } = await t.change({kind:'learn', rows: rows.slice(0,300*D), dimension:D, size:64});
  const b = t.change({kind:'begin', directions});
  if (kind === 'begin') after(b);
  else { await b; let l=0;
    const addAll = async (n) => { while (l<n) { const labels=Uint32Array.from({length:16},(_,i)=>l+i); const {done}=await t.change({kind:'add', vectors: rows.slice((l%2900)*D,(l%2900+16)*D), labels}); l+=done; } };
    if (kind === 'add') after(addAll(1e6));
    else { await addAll(2500);
      if (kind === 'search') after((async()=>{ for(;;) await t.search({kind:'search', vector: rows.slice(0,D), ef: 800}, new AbortController().signal); })());
      if (kind === 'remove') after((async()=>{ for (let r=0;;) { const {done}=await t.change({kind:'remove', labels: Uint32Array.from({length:16},(_,i)=>r+i)}); r+=done; } })());
      if (kind === 'save') after((async()=>{ for(;;) await t.change({kind:'save', path: '/dev/shm/attack-a-graph'}); })());
      if (kind === 'load') { await t.change({kind:'save', path: '/dev/shm/attack-a-graph'}); after((async()=>{ for(;;) await t.change({kind:'load', path: '/dev/shm/attack-a-graph', directions}); })()); }
    } } }
