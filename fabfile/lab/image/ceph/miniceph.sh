#!/bin/bash
# One-node Ceph with its S3 gateway: miniceph ADDRESS PORT TLS_PORT BUCKET, the access and the secret key in
# /etc/s3-credentials, the certificate and its key in /etc/s3-certificate.
# mon + osd (bluestore on a sparse file) + radosgw in the foreground; the second start finds the first one's disk.
set -eu
address=$1 port=$2 tls_port=$3 bucket=$4 disk=/var/lib/miniceph
conf=(-c $disk/ceph.conf)
{ read -r access; read -r secret; } < /etc/s3-credentials

prepare() {
    rm -rf $disk
    mkdir -p $disk/{mon,osd,rgw,run,log}
    local id
    id=$(uuidgen)
    cat > $disk/ceph.conf <<CONF
[global]
fsid = $id
mon host = [v2:$address:3300]
mon initial members = a
public addr = $address
ms bind ipv6 = false
keyring = $disk/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon data avail crit = 1
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = 8589934592
osd memory target = 939524096
run dir = $disk/run
admin socket = $disk/run/\$name.asok
log file = $disk/log/\$name.log
pid file = $disk/run/\$name.pid
[mon.a]
mon data = $disk/mon
[osd.0]
osd data = $disk/osd
[client.rgw]
rgw data = $disk/rgw
rgw frontends = beast endpoint=$address:$port ssl_endpoint=$address:$tls_port ssl_certificate=/etc/s3-certificate
CONF
    for name in mon. client.admin client.rgw; do
        ceph-authtool $([ -e $disk/keyring ] || echo -C) $disk/keyring --gen-key -n $name \
            --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    done
    monmaptool --create --fsid "$id" --addv a "[v2:$address:3300]" $disk/monmap
    ceph-mon "${conf[@]}" -i a --mkfs --monmap $disk/monmap --keyring $disk/keyring
}

first_start() {
    prepare
    ceph-mon "${conf[@]}" -i a
    local osd
    osd=$(uuidgen)
    ceph "${conf[@]}" osd new "$osd" 0
    ceph "${conf[@]}" auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' >> $disk/keyring
    ceph-osd "${conf[@]}" -i 0 --mkfs --osd-uuid "$osd"
    ceph "${conf[@]}" osd crush add osd.0 1 root=default host=lab
    ceph-osd "${conf[@]}" -i 0
    radosgw-admin "${conf[@]}" -n client.rgw user create --uid lab --display-name lab \
        --access-key "$access" --secret-key "$secret" > /dev/null
    touch $disk/complete
}

next_start() {
    rm -f $disk/run/*
    ceph-mon "${conf[@]}" -i a
    ceph-osd "${conf[@]}" -i 0
}

make_bucket() {
    until printf 'user = "%s:%s"\n' "$access" "$secret" | curl -sf -o /dev/null -K - -X PUT --aws-sigv4 aws:amz:us-east-1:s3 \
            -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "http://$address:$port/$bucket"; do
        sleep 0.2
    done
}

# The lab plugs the cable in after the container has started.
until ip -o -4 addr show dev eth0 2>/dev/null | grep -qF " $address/"; do sleep 0.05; done
if [ -e $disk/complete ]; then next_start; else first_start; fi
make_bucket &
exec radosgw "${conf[@]}" -n client.rgw -f
